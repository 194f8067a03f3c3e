"""Run a VapourSynth chain on raw frames: stdin to stdout.

Started by ``peers.py`` with a Python that has VapourSynth, whose text it gets on the command
line: ``python -c TEXT '{"width": ..., "layout": "gbrp" | "yuv420p", "settings": {...}}'``.
Only the standard library, numpy and VapourSynth's packages; nothing of vdenoise.
"""

import json
import sys

import numpy as np
import vapoursynth as vs
from vsdenoise import Prefilter, bm3d, mc_degrain

core = vs.core
core.num_threads = 2

NO_SCENE_CHANGE = (10000, 100.0)  # the clips are single shots; noise alone must not look like a cut
PREFILTERS = {"none": Prefilter.NONE, "gauss": Prefilter.GAUSS, "dfttest": Prefilter.DFTTEST}
ORDER = {"gbrp": (1, 2, 0), "yuv420p": (0, 1, 2)}  # raw plane -> VapourSynth plane


def source(raw, width, height, layout):
    """A clip of the raw planar frames."""
    if layout == "gbrp":
        planes, form = [(height, width)] * 3, vs.RGB24
    else:
        planes, form = [(height, width)] + [(height // 2, width // 2)] * 2, vs.YUV420P8
    edges = np.cumsum([0] + [h * w for h, w in planes])
    frames = raw.reshape(-1, edges[-1])

    def fill(n, f):
        out = f.copy()
        for i, target in enumerate(ORDER[layout]):
            plane = frames[n, edges[i] : edges[i + 1]].reshape(planes[i])
            np.asarray(out[target])[:] = plane
        return out

    blank = core.std.BlankClip(
        width=width, height=height, format=form, length=len(frames), fpsnum=25, fpsden=1, keep=True
    )
    return core.std.ModifyFrame(blank, blank, fill)


def chain(clip, settings):
    """mc_degrain where there is a ``thsad``, then (V-)BM3D where there is a ``sigma``."""
    rgb = clip.format.color_family == vs.RGB
    if rgb:
        out = core.resize.Bicubic(clip, format=vs.YUV444P16, matrix_s="709", range_s="full")
    else:
        out = clip.std.SetFrameProps(_Matrix=1).resize.Bicubic(
            format=vs.YUV420P16, range_in_s="limited", range_s="limited"
        )
    if "thsad" in settings:
        out = mc_degrain(
            out,
            prefilter=PREFILTERS[settings["prefilter"]],
            tr=settings["tr"],
            thsad=settings["thsad"],
            thscd=NO_SCENE_CHANGE,
        )
    if "sigma" in settings:
        out = bm3d(
            core.resize.Bicubic(out, format=vs.RGBS),
            settings["sigma"],
            settings["radius"],
            profile=bm3d.Profile.FAST if settings["radius"] == 0 else bm3d.Profile.LOW_COMPLEXITY,
            backend=bm3d.Backend.OLD,
        )
    if rgb:
        return core.resize.Bicubic(out, format=vs.RGB24, dither_type="none")
    return core.resize.Bicubic(
        out, format=vs.YUV420P8, matrix_s="709", range_s="limited", dither_type="none"
    )


def main():
    """Filter stdin to stdout."""
    job = json.loads(sys.argv[1])
    raw = np.frombuffer(sys.stdin.buffer.read(), np.uint8)
    clip = source(raw, job["width"], job["height"], job["layout"])
    for frame in chain(clip, job["settings"]).frames(close=True):
        for plane in ORDER[job["layout"]]:
            sys.stdout.buffer.write(np.asarray(frame[plane]).tobytes())


main()
