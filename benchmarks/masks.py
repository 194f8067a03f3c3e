"""Whether masks made from the picture flicker: ``python -m benchmarks.masks --data FOLDER``.

Every kind of mask, as a run makes it from a noisy clip that moves. Two questions, both along the
motion of the clean clip and only at a mask's edge, where it goes over from all to nothing (one that
is black or white cannot flicker):

* How much does the mask change, and how much does the one that is made from the clean clip?
* How much does the picture flicker that the mask is put on, to work inside and to protect, and how
  much with the same mask standing still: each frame's replaced by the mean of all, brought to where
  it is? The difference is what masking adds; what lies between noise removed and noise kept
  flickers with either.

Denoised without a network, which leaves more noise for a mask to flicker with. Writes
``results/masks.json`` and the table of ``docs/masks.md``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import clips, results
from vdenoise import cli
from vdenoise.evaluation.metrics import flicker
from vdenoise.evaluation.protocol import Noise, joined_rgb
from vdenoise.masks.parse import make_mask, parse_mask
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.motion.flow import SharedMotion
from vdenoise.motion.warp import resize, warp
from vdenoise.picture.block import Block, Motion, Signal
from vdenoise.picture.color import lift
from vdenoise.picture.luma_chroma import Picture
from vdenoise.picture.noise import NoiseProfile
from vdenoise.picture.subsampling import resize_to
from vdenoise.stages.control.strength import Settle

RESULTS = results.FOLDER / "masks.json"
PAGE = results.PAGE.with_name("masks.md")
MARK = "flicker"
MASKS = (
    "luma:50-100",
    "luma:50-100,soft=0",  # the hardest edge that can be asked for
    "hue:20-70",
    "saturation:12-100",
    "auto:skin",
    "auto:shadows",
    "auto:edges",
    "auto:flat",
)
NOISES = (Noise("sensor", 0.02), Noise("gaussian", 30))
MODES = ("apply", "protect")
SIZE = (256, 448)  # the middle of each clip
EDGE = 0.02  # a mask is at its edge where it is farther than this from black and from white

Row = dict[str, Any]
Planes = tuple[Tensor, Tensor]  # luma (T, 1, H, W) and chroma (T, 2, h, w)


def main() -> None:
    """Run every case, write the file and the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.masks", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the clean clips")
    parser.add_argument("--clips", nargs="+", default=(*clips.CLEAN, clips.SAMPLE))
    parser.add_argument("--masks", nargs="+", default=MASKS)
    parser.add_argument("--frames", type=int, default=8, help="first frames of each clip")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--try", dest="trial", action="store_true", help="print, write nothing")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for row in _rows(chosen, Path(name)):
            print(row, flush=True)
            rows.append(row)
    if not chosen.trial:
        content = {"schema": results.SCHEMA, "machine": results.machine(), "seed": clips.SEED}
        results.save(RESULTS, content | {"frames": chosen.frames, "rows": rows})
        results.write_between(PAGE, MARK, table(rows))


def _rows(chosen: argparse.Namespace, folder: Path) -> Iterator[Row]:
    for name in chosen.clips:
        clean = clips.middle(clips.load_clean(chosen.data, name, chosen.frames), SIZE)
        ideal = denoised(clips.store(clean, "yuv420p", folder / f"{name}.mkv"))
        for noise in NOISES:
            noisy = noise.added(clean, clips.SEED).clamp(0, 1)
            path = folder / f"{name}-{noise.kind}.mkv"
            found = denoised(clips.store(noisy, "yuv420p", path))
            for mask in chosen.masks:
                yield {"clip": name, "noise": str(noise), **compared(mask, found, ideal)}


@dataclass(frozen=True, eq=False)
class Denoised:
    """A clip as the last denoiser left it, which is where masks come in."""

    block: Block  # ``source`` is the clip before

    @property
    def source(self) -> Tensor:
        """(T, 3, H, W) R'G'B' before anything."""
        return joined_rgb(*self.block.original)

    def cover(self, mask: str) -> Tensor:
        """(T, H, W): the mask as made from this clip."""
        found = self._settled(mask, None).findings.mask
        assert found is not None
        return found[:, 0]

    def masked(self, mask: str, mode: str, cover: Tensor | None = None) -> Tensor:
        """R'G'B' behind a mask, the clip's own or one like those that come from files."""
        done = self._settled(f"{mask},mode={mode}", cover)
        return joined_rgb(done.luma.pixels, None if done.chroma is None else done.chroma.pixels)

    def _settled(self, mask: str, cover: Tensor | None) -> Block:
        block = self.block if cover is None else replace(self.block, mattes=cover[:, None])
        spec = make_mask(*parse_mask(f"m={mask}"))
        return Settle(masks=(spec,), motion_est="better", show=("mask",)).denoise(block)


def denoised(path: Path) -> Denoised:
    """The clip through ``vdenoise run``, in 12 bits so that rounding has no part in anything."""
    profile, clean, matte = (path.with_suffix(end) for end in (".json", ".out.mkv", ".matte.mkv"))
    _vdenoise("profile", "build", path, "-o", profile)
    words = ("--codec", "ffv1", "--bit-depth", "12", "--matte-out", matte)
    _vdenoise("run", path, "-o", clean, "--profile", profile, "--model", "none", *words)
    before, (luma, chroma) = _read(path), _read(clean)
    residual = 1 - _read(matte)[0]
    noise = NoiseProfile.load(profile).at(0).table()
    return Denoised(
        Block(
            first=0,
            core=slice(0, len(luma)),
            luma=Signal(luma, residual),
            chroma=Signal(chroma, resize_to(residual, chroma)),
            noise=noise,
            motion=SharedMotion("better").block(0, before[0], noise),
            kept_original=Picture(*before),
        )
    )


def _vdenoise(*words: str | Path) -> None:
    status = cli.status([*map(str, words), "--progress", "none"])
    assert status == 0, f"{words}: exit {status}"


def _read(path: Path) -> Planes:
    info = probe(path)
    with Reader(info) as reader:
        lifted = [lift(frame, info) for frame in reader]
    luma = torch.stack([luma for luma, _ in lifted])
    chroma = [chroma for _, chroma in lifted if chroma is not None]
    return luma, torch.stack(chroma) if chroma else luma.new_zeros(0)


def standing(cover: Tensor, motion: Motion) -> Tensor:
    """A mask (T, H, W) that does not change along the motion: the mean of all its frames, each
    brought to where the frame is, as far as the motion is sure."""
    size = (cover.shape[-2], cover.shape[-1])

    def still(t: int) -> Tensor:
        total, weight = cover[t].clone(), torch.ones(size)
        for k in range(len(cover)):
            if k != t:
                sure = resize(motion.trust(t, k), size)
                total += sure * warp(cover[k : k + 1], motion.flow(t, k))[0].clamp_(0, 1)
                weight += sure
        return total / weight

    return torch.stack([still(t) for t in range(len(cover))])


def compared(mask: str, noisy: Denoised, clean: Denoised) -> Row:
    """What changes and what flickers at the mask's edge, in 8-bit codes, on the noisy clip."""
    assert clean.block.motion is not None
    own, wanted = noisy.cover(mask), clean.cover(mask)
    still = standing(own, clean.block.motion)
    edge = torch.stack([(m > EDGE) & (m < 1 - EDGE) for m in (own, wanted)]).any(0)
    picture = clean.source

    def unsteady(clip: Tensor) -> float:
        return round(flicker(picture, clip, edge), 3)

    row = {
        "mask": mask,
        "cover": round(100 * float(wanted.mean()), 1),
        "edge": round(100 * float(edge.float().mean()), 1),
        "mask_changes": unsteady(picture + own[:, None]),
        "clean_mask_changes": unsteady(picture + wanted[:, None]),
        "noisy": unsteady(noisy.source),
        "denoised": unsteady(noisy.masked("rect:0,0,100%,100%", "apply")),
    }
    for mode in MODES:
        row[mode] = unsteady(noisy.masked(mask, mode))
        row[f"{mode}_still"] = unsteady(noisy.masked("file:still", mode, still))
    return row


def excess(rows: list[Row], mode: str) -> float:
    """Percent by which masks as made flicker more than the same masks standing still."""
    made, still = (results.mean(row[f"{mode}{end}"] for row in rows) for end in ("", "_still"))
    return 100 * (made / still - 1)


def table(rows: list[Row]) -> str:
    """Markdown: for each mask and noise, means over the clips."""
    noises = list(dict.fromkeys(row["noise"] for row in rows))
    lines = [
        "| mask | noise | mask changes | from the clean clip | noisy | denoised "
        "| inside | more than still | protect | more than still |",
        f"|---|---|{'---:|' * 8}",
    ]
    for mask in dict.fromkeys(row["mask"] for row in rows):
        for noise in noises:
            some = [row for row in rows if (row["mask"], row["noise"]) == (mask, noise)]
            means = {
                name: f"{results.mean(row[name] for row in some):.1f}"
                for name in ("mask_changes", "clean_mask_changes", "noisy", "denoised", *MODES)
            }
            more = {mode: f"{excess(some, mode):+.1f} %" for mode in MODES}
            cells = [*list(means.values())[:-1], more["apply"], means["protect"], more["protect"]]
            lines.append(f"| `{mask}` | {noise} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
