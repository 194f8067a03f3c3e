"""What is read and removed in footage as it comes: bars, graphics, fades, gain, clipped levels.

``python -m benchmarks.situations --data FOLDER [--clip NAME] [--only SITUATION]``

Every situation of ``samples/situations.py`` is made of clean frames and stored as an 8-bit 4:2:0
file holds it; the chain is what ``vdenoise run`` does with such a file and nothing else said. For
each: sigma that is read against the sigma that was added where noise is; PSNR of the noisy part
before and after, and what the same part gets where the whole frame is like it; by how much (RMS,
8-bit codes) picture without noise was changed; whether bars came back to the bit. Writes
``results/situations.json``; rows of an earlier run are replaced.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import clips, results
from samples import situations
from vdenoise.chain.presets import load as preset
from vdenoise.chain.resolve import Chain, Layer, resolve
from vdenoise.evaluation.measure import run_chain
from vdenoise.evaluation.protocol import Given, decoded, encoded
from vdenoise.noise.estimate import Analyzer
from vdenoise.picture.color import lift_planes

RESULTS = results.FOLDER / "situations.json"
CLIPS = ("tennis", "scene", "motorbike")
LARGEST = (272, 448)  # height and width of the part of a clip that is used
SIGMA, SEED = 12 / 255, 5
FRAMES, LONGER = 14, 36
NEED_TIME = ("fade in 24", "dissolve", "gain down", "gain up")


def denoised(given: Given) -> Tensor:
    """What ``vdenoise run`` makes of such a file, R'G'B'."""

    def chain(values: Mapping[str, str]) -> Chain:
        return resolve(preset("auto"), [Layer("auto", values)])

    return run_chain(given, chain, None, "cpu").rgb


def row(name: str, clip: str, clean: Tensor, control: Tensor) -> results.Row:
    """One situation on one clip of clean frames (T, 3, H, W).

    ``control``: what is made of the same frames with the same noise all over, R'G'B'.
    """
    made = situations.make(name, clean, SIGMA, SEED)
    given = Given("420", tuple(encoded(made.noisy, "420")), made.clean)
    exact = decoded(encoded(made.clean, "420"), "420")
    noisy = given.answer(given.planes)
    read, true = sigmas(made, given)
    done = denoised(given)
    frames = slice(*made.judged)
    loud, quiet = made.loud[frames], made.quiet[frames]
    before, after, truth = noisy[frames], done[frames], exact[frames]
    found: results.Row = {
        "clip": clip,
        "situation": name,
        "sigma read": round(read, 2),
        "sigma": round(true, 2),
        "noisy": round(_psnr(before, truth, loud), 2),
        "ours": round(_psnr(after, truth, loud), 2),
    }
    if torch.equal(made.clean[made.loud.expand_as(clean)], clean[made.loud.expand_as(clean)]):
        found["control there"] = round(_psnr(control[frames], truth, loud), 2)
    if quiet.any():
        change = (after - before)[quiet.expand_as(after)].square().mean().sqrt()
        found["quiet changed by"] = round(255 * float(change), 2)
    if made.bars.any():
        inner = torch.nn.functional.max_pool2d((~made.bars).float()[None], 7, 1, 3)[0] == 0
        found["bars equal"] = bool(torch.equal(after[..., inner], before[..., inner]))
    return found


def _stored(clean: Tensor) -> Given:
    made = situations.plain(clean, SIGMA, SEED)
    return Given("420", tuple(encoded(made.noisy, "420")), made.clean)


def sigmas(made: situations.Situation, given: Given) -> tuple[float, float]:
    """Sigma of luma in codes: what is read, and what was there where noise is."""
    lifted = [lift_planes(p, given.format, False, None) for p in given.planes]
    analyzer = Analyzer(cuts=())
    for index, (luma, chroma) in enumerate(lifted):
        analyzer.push(index, luma, chroma)
    exact = [lift_planes(p, given.format, False, None)[0] for p in encoded(made.clean, "420")]
    off = torch.stack([a[0] - b for a, b in zip(lifted, exact, strict=True)])
    true = 255 * float(off[made.loud].square().mean().sqrt())
    return analyzer.finish().profile.shots[0].y.codes, true


def _psnr(a: Tensor, b: Tensor, where: Tensor) -> float:
    error = (a - b)[where.expand_as(a)].square().mean()
    return float(-10 * error.log10())


def rows(data: Path, names: tuple[str, ...], wanted: tuple[str, ...]) -> Iterator[results.Row]:
    """All of them."""
    for clip in names:
        clean = {count: _part(clips.load_clean(data, clip, count)) for count in (FRAMES, LONGER)}
        control = {count: denoised(_stored(frames)) for count, frames in clean.items()}
        for name in wanted:
            count = LONGER if name in NEED_TIME else FRAMES
            yield row(name, clip, clean[count], control[count])


def _part(clean: Tensor) -> Tensor:
    """The middle of a large clip."""
    height, width = (min(n, most) for n, most in zip(clean.shape[-2:], LARGEST, strict=True))
    return clips.middle(clean, (height, width))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of clean clips")
    parser.add_argument("--clip", action="append", choices=CLIPS)
    parser.add_argument("--only", action="append", choices=list(situations.SITUATIONS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    wanted = tuple(asked.only or situations.SITUATIONS)
    for found in rows(asked.data, tuple(asked.clip or CLIPS), wanted):
        print(found, flush=True)
        results.merge(asked.out, found, lambda r: (r["clip"], r["situation"]), SEED)


if __name__ == "__main__":
    main()
