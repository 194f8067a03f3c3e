"""The peers, each a function of a stored clip and a few dials, and the search for their best.

The search moves one dial at a time along its ordered values for as long as the PSNR *against the
clean clip* rises: an advantage that no user has. vdenoise gets none.

FFmpeg's filters run in the ``ffmpeg`` program. VapourSynth needs a Python of its own (3.12 or
newer) with ``vapoursynth vsjetpack vapoursynth-mvutensils==9 vapoursynth-bm3d dfttest2
vapoursynth-dfttest2-cpu vapoursynth-resize2``; its command comes from $VDENOISE_BENCH_VAPOURSYNTH.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.clips import Clip, decode, ffmpeg, rgb_of, shortened
from vdenoise.picture.quality import psnr

Setting = dict[str, float | int | str]
Runner = Callable[[Clip, Setting], Tensor]

VAPOURSYNTH = "VDENOISE_BENCH_VAPOURSYNTH"


@dataclass(frozen=True)
class Peer:
    """A competitor: how to run it and what may be turned."""

    name: str
    run: Runner  # gives (T, 3, H, W) R'G'B'
    dials: Mapping[str, tuple[float | int | str, ...]]  # ordered values of each dial
    start: Setting  # where the search begins
    search_frames: int = 8  # the search looks at the clip's first frames only
    rgb_dials: Mapping[str, tuple[str, ...]] | None = None  # further dials on RGB clips


def best_setting(peer: Peer, clip: Clip, begin: Setting | None = None) -> tuple[Setting, int]:
    """The setting with the highest PSNR that the search finds, and how many it tried.

    The search begins at ``begin``, by default at the peer's own start.
    """
    part = shortened(clip, peer.search_frames)
    dials = dict(peer.dials)
    if clip.layout == "gbrp":
        dials |= peer.rgb_dials or {}
    tried: dict[str, float] = {}

    def score(setting: Setting) -> float:
        key = json.dumps(setting, sort_keys=True)
        if key not in tried:
            tried[key] = psnr(part.reference, peer.run(part, setting))
        return tried[key]

    setting = {k: v for k, v in (begin or peer.start).items() if k in dials}
    improved = True
    while improved:
        improved = False
        for dial, values in dials.items():
            for step in (1, -1):
                place = values.index(setting[dial]) + step
                while 0 <= place < len(values):
                    candidate = setting | {dial: values[place]}
                    if score(candidate) <= score(setting):
                        break
                    setting, improved = candidate, True
                    place += step
    return setting, len(tried)


def timed(peer: Peer, clip: Clip, setting: Setting) -> tuple[Tensor, float]:
    """The whole clip at one setting, and the seconds from reading to writing."""
    begin = time.perf_counter()
    frames = peer.run(clip, setting)
    return frames, time.perf_counter() - begin


def _filter(template: str) -> Runner:
    """An FFmpeg filter chain; ``{dial}`` is filled in, ``{layout}`` is where it works."""

    def run(clip: Clip, setting: Setting) -> Tensor:
        layout = setting.get("layout", clip.layout)
        chain = template.format(**setting)
        output = clip.noisy.with_name("peer.mkv")
        graph = f"format={layout},{chain},format={clip.layout}"
        ffmpeg("-threads", "2", "-i", clip.noisy, "-vf", graph, "-c:v", "ffv1", output)
        return decode(output, clip.layout)

    return run


def _vapoursynth(clip: Clip, setting: Setting) -> Tensor:
    """A VapourSynth chain; frames travel through pipes."""
    if VAPOURSYNTH not in os.environ:
        raise SystemExit(
            f"Set {VAPOURSYNTH} to a Python that has VapourSynth, or name other peers."
        )
    width, height = clip.size
    job = {"width": width, "height": height, "layout": clip.layout, "settings": setting}
    raw = ffmpeg("-i", clip.noisy, "-vsync", "0", "-pix_fmt", clip.layout, "-f", "rawvideo", "-")
    script = Path(__file__).with_name("vapoursynth_peer.py").read_text()
    command = [*shlex.split(os.environ[VAPOURSYNTH]), "-W", "ignore", "-c", script, json.dumps(job)]
    done = subprocess.run(command, input=raw, stdout=subprocess.PIPE, check=True)
    return rgb_of(done.stdout, clip.layout, width, height)


LAYOUTS = {"layout": ("yuv444p", "gbrp")}

PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "hqdn3d",
            _filter("hqdn3d=luma_spatial={spatial}:luma_tmp={temporal}"),
            {
                "spatial": (0.5, 1, 1.5, 2, 3, 4, 6, 8, 11, 15, 20, 30, 45, 65),
                "temporal": (0.5, 1.5, 3, 4.5, 6, 9, 12, 16, 22, 30),
            },
            {"spatial": 6, "temporal": 9},
            search_frames=16,
        ),
        Peer(
            "nlmeans",
            _filter("nlmeans=s={s}:{shape}"),
            {
                "s": (1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 21, 25, 30),
                "shape": ("p=3:r=9", "p=5:r=11", "p=7:r=15"),
            },
            {"s": 7, "shape": "p=5:r=11", "layout": "yuv444p"},
            rgb_dials=LAYOUTS,
            search_frames=2,
        ),
        Peer(
            "atadenoise",
            _filter("atadenoise=0a={a}:0b={b}:1a={a}:1b={b}:2a={a}:2b={b}:s={s}"),
            {
                "a": (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.11, 0.15, 0.2, 0.3),
                "b": (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.5, 4),
                "s": (5, 9, 15, 25),
            },
            {"a": 0.06, "b": 0.32, "s": 9, "layout": "yuv444p"},
            rgb_dials=LAYOUTS,
            search_frames=16,
        ),
        Peer(
            "atadenoise+nlmeans",
            _filter(
                "atadenoise=0a={a}:0b={b}:1a={a}:1b={b}:2a={a}:2b={b}:s=9,nlmeans=s={s}:{shape}"
            ),
            {
                "s": (1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 21, 25, 30),
                "a": (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.11, 0.15, 0.2),
                "b": (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28),
                "shape": ("p=3:r=9", "p=5:r=11", "p=7:r=15"),
            },
            {"s": 6, "a": 0.02, "b": 0.08, "shape": "p=5:r=11", "layout": "yuv444p"},
            rgb_dials=LAYOUTS,
        ),
        Peer(
            "fftdnoiz",
            _filter("fftdnoiz=sigma={sigma}:block=32:overlap=0.5:prev={around}:next={around}"),
            {
                "sigma": (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 25, 30, 40, 50, 60, 80, 100),
                "around": (0, 1),
            },
            {"sigma": 20, "around": 0, "layout": "yuv444p"},
            rgb_dials=LAYOUTS,
            search_frames=4,
        ),
        Peer(
            "vaguedenoiser",
            _filter("vaguedenoiser=threshold={threshold}:method={method}:nsteps={steps}"),
            {
                "threshold": (0.5, 1, 1.5, 2, 3, 4, 6, 8, 10, 13, 17, 22, 28, 36, 48, 64),
                "method": ("soft", "garrote", "hard"),
                "steps": (3, 4, 6),
            },
            {"threshold": 8, "method": "garrote", "steps": 4, "layout": "yuv444p"},
            rgb_dials=LAYOUTS,
            search_frames=2,
        ),
        Peer(
            "bm3d",
            _filter("bm3d=sigma={sigma}:block=4:bstep=4:group={group}:range=9"),
            {
                "sigma": (10, 20, 30, 45, 70, 100, 150, 220, 330, 500, 700, 1000),
                "group": (1, 4, 8),
            },
            {"sigma": 150, "group": 1, "layout": "yuv444p"},
            search_frames=2,
            rgb_dials=LAYOUTS,
        ),
        Peer(
            "dctdnoiz",
            _filter("dctdnoiz=sigma={sigma}:n={n}"),
            {"sigma": (1, 2, 3, 4, 6, 8, 10, 12, 15, 18, 22, 27, 33, 40, 50), "n": (3, 4)},
            {"sigma": 12, "n": 3},
            search_frames=2,
        ),
        Peer(
            "mc_degrain",
            _vapoursynth,
            {
                "thsad": (100, 150, 200, 300, 400, 600, 800, 1100, 1400, 1800, 2200, 2800, 3600),
                "tr": (2, 3, 5),
                "prefilter": ("none", "gauss", "dfttest"),
            },
            {"thsad": 1800, "tr": 3, "prefilter": "dfttest"},
            search_frames=12,
        ),
        Peer(
            "mc_degrain+BM3D",
            _vapoursynth,
            {
                "sigma": (0.5, 1, 1.5, 2, 3, 4, 5, 6, 7.5, 9, 11, 13, 15, 18, 22, 27, 33, 40),
                "thsad": (100, 150, 200, 300, 400, 600, 800, 1100, 1400, 1800, 2200, 2800, 3600),
                "radius": (0,),
                "tr": (2, 3, 5),
                "prefilter": ("gauss", "dfttest"),
            },
            {"sigma": 9, "thsad": 1400, "radius": 0, "tr": 3, "prefilter": "dfttest"},
            search_frames=8,
        ),
        Peer(
            "mc_degrain+V-BM3D",
            _vapoursynth,
            {
                "sigma": (0.5, 1, 1.5, 2, 3, 4, 5, 6, 7.5, 9, 11, 13, 15, 18, 22, 27, 33, 40),
                "thsad": (100, 150, 200, 300, 400, 600, 800, 1100, 1400, 1800, 2200, 2800, 3600),
                "radius": (2,),
                "tr": (3,),
                "prefilter": ("dfttest",),
            },
            {"sigma": 9, "thsad": 1400, "radius": 2, "tr": 3, "prefilter": "dfttest"},
            search_frames=8,
        ),
    )
}


def versions() -> dict[str, str]:
    """What the peers are made of, here."""
    found = {"ffmpeg": ffmpeg("-version").decode().split()[2], "torch": torch.__version__}
    if VAPOURSYNTH in os.environ:
        listing = "import importlib.metadata as m; print(*sorted(f'{d.name} {d.version}' for d in "
        listing += (
            "m.distributions() if d.name.lower().startswith(('vapoursynth','vsjet'))),sep=', ')"
        )
        command = [*shlex.split(os.environ[VAPOURSYNTH]), "-c", listing]
        found["vapoursynth"] = subprocess.run(
            command, stdout=subprocess.PIPE, check=True, text=True
        ).stdout.strip()
    return found
