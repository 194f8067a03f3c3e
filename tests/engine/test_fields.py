"""Fields are denoised as fields: each with those of its own parity, and woven back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.helpers.interlaced import Planes, interlaced, moving, noisy, write_frames
from vdenoise import cli
from vdenoise.errors import UsageError
from vdenoise.masks.parse import make_mask
from vdenoise.masks.shapes import shape
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.noise.estimate import Analysis
from vdenoise.picture.fields import PARITIES, field_clip, field_of, plane_lines, weave
from vdenoise.picture.frame import ClipInfo, FieldLines, SourceFrame
from vdenoise.workflows.measure import measure
from vdenoise.workflows.reading import Reading

SIZE = (96, 64)
SIGMA = 10.0
FAST = ("--speed", "veryfast", "--codec", "ffv1", "--progress", "none", "--device", "cpu")


def truth(frames: int, *, first: str = "t", seed: int = 1) -> list[Planes]:
    return interlaced([moving(n, SIZE, seed=seed) for n in range(2 * frames)], first)


def samples(path: Path) -> list[list[NDArray[np.uint8]]]:
    with Reader(probe(path)) as reader:
        return [[plane.numpy().copy() for plane in frame.planes] for frame in reader]


def run(clip: Path, output: Path, *more: str) -> list[list[NDArray[np.uint8]]]:
    assert cli.status(["run", str(clip), "-o", str(output), *FAST, *more]) == 0
    return samples(output)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fields")
    return write_frames(folder / "in.mkv", noisy(truth(8), SIGMA), flag="tff")


class Silent:
    def start(self, phase: str, frames: int, *, unit: str = "fps") -> None: ...

    def advance(self, busy: dict[str, float]) -> None: ...


def measured(path: Path) -> Analysis:
    reading = Reading(path)
    return measure(reading.probe(), reading, Silent())


def error(found: NDArray[np.uint8], clean: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean((found.astype(float) - 255 * clean) ** 2)))


def test_each_parity_comes_out_as_a_progressive_clip_of_it_would(
    clip: Path, tmp_path: Path
) -> None:
    done = run(clip, tmp_path / "out.mkv", "--sigma", "10")
    for parity in PARITIES:
        fields = [[plane[parity::2] for plane in frame] for frame in samples(clip)]
        alone = write_frames(tmp_path / f"{parity}.mkv", fields)
        words = ("--sigma", "10", "--interlaced", "ignore", "--dither", "off")
        wanted = run(alone, tmp_path / f"{parity}_out.mkv", *words)
        plain = run(clip, tmp_path / "plain.mkv", "--sigma", "10", "--dither", "off", "--overwrite")
        for a, b in zip(plain, wanted, strict=True):
            for mine, other in zip(a, b, strict=True):
                assert np.array_equal(mine[parity::2], other)
    clean = truth(8)
    before = samples(clip)
    for n in range(8):
        assert error(done[n][0], clean[n][0]) < 0.75 * error(before[n][0], clean[n][0])


def test_flags_stay_and_strength_0_gives_every_sample_back(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    done = run(clip, out, "--luma", "0", "--chroma", "0")
    for a, b in zip(done, samples(clip), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert probe(out).field_order == probe(clip).field_order == "tt"


@pytest.mark.parametrize("target", ["out.mov", "out.ts", "out.mp4"])
def test_bottom_field_first_stays_so_with_x264(target: str, tmp_path: Path) -> None:
    """Where the container does not tell the order, the codec itself must."""
    frames = noisy(truth(4, first="b"), SIGMA)
    path = write_frames(tmp_path / "in.mkv", frames, flag="bff")
    out = tmp_path / target
    run(path, out, "--sigma", "10", "--codec", "x264")
    assert probe(out).field_order == "bb"


@pytest.mark.parametrize(("flag", "first"), [("tff", "t"), ("bff", "b"), ("tff", "b")])
def test_combing_is_not_raised_whichever_field_is_first(
    flag: str, first: str, tmp_path: Path
) -> None:
    clean = truth(6, first=first)
    path = write_frames(tmp_path / "in.mkv", noisy(clean, SIGMA), flag=flag)
    done = run(path, tmp_path / "out.mkv", "--sigma", "10")
    assert probe(tmp_path / "out.mkv").field_order == probe(path).field_order
    for n, frame in enumerate(done):
        own = np.diff(255 * clean[n][0], 2, axis=0).std()
        assert np.diff(frame[0].astype(float), 2, axis=0).std() < 1.1 * own + SIGMA


def test_a_field_sees_only_its_own_shot(tmp_path: Path) -> None:
    """A cut between two fields of a frame: the top one is of the old shot, the other of the new."""
    one, two = truth(6), truth(6, seed=2)
    bright = [[p * 0.4 + (0.55 if k == 0 else 0.3) for k, p in enumerate(f)] for f in two]
    dark = [[p * 0.4 + (0.05 if k == 0 else 0.3) for k, p in enumerate(f)] for f in one]
    mixed = [np.where((np.arange(len(a)) % 2)[:, None] == 0, a, b)
             for a, b in zip(dark[5], bright[0], strict=True)]  # fmt: skip
    clean = [*dark[:5], mixed, *bright[1:6]]
    path = write_frames(tmp_path / "in.mkv", noisy(clean, 6), flag="tff")
    done = run(path, tmp_path / "out.mkv")
    for n in range(4, 8):
        for parity in PARITIES:
            field = done[n][0][parity::2].astype(float) - 255 * clean[n][0][parity::2]
            assert abs(field.mean()) < 0.7 and np.abs(field).max() < 35


def test_frames_alone_are_those_of_the_whole(clip: Path, tmp_path: Path) -> None:
    whole = run(clip, tmp_path / "all.mkv", "--seed", "3", "--dither", "on")
    part = run(clip, tmp_path / "part.mkv", "--seed", "3", "--dither", "on", "--frames", "3-5")
    for a, b in zip(part, whole[3:6], strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_noise_is_measured_in_each_parity(tmp_path: Path) -> None:
    """The two heads of a tape machine are not equally good."""
    quiet, loud = noisy(truth(8), 4), noisy(truth(8), 12)
    for a, b in zip(quiet, loud, strict=True):
        for x, y in zip(a, b, strict=True):
            x[1::2] = y[1::2]
    path = write_frames(tmp_path / "in.mkv", quiet, flag="tff")
    found = measured(path).profile
    assert found.of_parity(0).shots[0].y.codes == pytest.approx(4, rel=0.25)
    assert found.of_parity(1).shots[0].y.codes == pytest.approx(12, rel=0.25)
    found.save(tmp_path / "noise.json")
    assert type(found).load(tmp_path / "noise.json") == found


@pytest.mark.parametrize(
    ("content", "flag", "fields", "said"),
    [
        ("t", "tff", True, ""),
        ("b", "tff", True, "bottom field first"),
        ("t", "prog", True, "says whole frames"),
        ("p", "tff", False, "as whole frames"),
        ("p", "prog", False, ""),
        ("still", "tff", True, ""),
    ],
)
def test_pictures_beat_flags_and_it_is_said(
    content: str, flag: str, fields: bool, said: str, tmp_path: Path
) -> None:
    frames = {
        "t": truth(8),
        "b": truth(8, first="b"),
        "p": [moving(2 * n, SIZE) for n in range(8)],
        "still": [moving(0, SIZE)] * 8,
    }[content]
    path = write_frames(tmp_path / "in.mkv", noisy(frames, 6), flag=flag)
    info = Reading(path).probe()
    assert info.by_field is fields
    assert info.field_order == probe(path).field_order
    assert any(said in text for text in info.warnings) if said else info.warnings == ()
    assert Reading(path, interlaced="ignore").probe().by_field is False
    assert Reading(path, interlaced="fields").probe().by_field is True


def luma_of(path: Path) -> list[np.ndarray]:
    with Reader(probe(path)) as reader:
        return [frame.planes[0].numpy().copy() for frame in reader]


@pytest.mark.parametrize("height", [64, 65])
@pytest.mark.parametrize("text", ["rect:10,11,30,21", "ellipse:50%,50%,20%,30%"])
def test_a_shape_has_the_same_place_in_the_fields_as_in_the_frame(height: int, text: str) -> None:
    spec = make_mask("m", {"source": text})
    whole = shape(spec, height, 80)
    fields = [shape(spec, len(whole[p::2]), 80, FieldLines(p, height)) for p in PARITIES]
    assert torch.equal(weave([fields[0]], [fields[1]], [height])[0], whole)


@pytest.mark.parametrize("from_file", [False, True])
def test_masks_over_fields_work_on_the_lines_that_they_cover_and_no_others(
    clip: Path, tmp_path: Path, from_file: bool
) -> None:
    source = luma_of(clip)
    rows, columns = source[0].shape
    inside = np.zeros((rows, columns), bool)
    inside[11:32, 10:40] = True
    text = "rect:10,11,30,21"
    if from_file:
        assert cv2.imwrite(str(tmp_path / "m.png"), inside.astype(np.uint8) * 255)
        text = f"file:{tmp_path / 'm.png'}"
    out = tmp_path / "out.mkv"
    words = ["run", str(clip), "-o", str(out), *FAST, "--mask", f"m={text}"]
    assert cli.status([*words, "--mask-out", str(tmp_path / "mask.mkv")]) == 0
    for before, after, mask in zip(
        source, luma_of(out), luma_of(tmp_path / "mask.mkv"), strict=True
    ):
        changed = before != after
        assert not changed[~inside].any() and changed[inside].mean() > 0.5
        assert ((mask > 0) == inside).all()


@pytest.mark.parametrize("height", [62, 64, 65, 70])
def test_fields_of_any_height_weave_back_to_the_bit(height: int, clip: Path) -> None:
    info: ClipInfo = replace(probe(clip), height=height)
    lines = plane_lines(info.format, 3, height)
    rng = torch.Generator().manual_seed(1)
    planes = tuple(
        torch.randint(0, 255, (count, 8), generator=rng, dtype=torch.uint8) for count in lines
    )
    frame = SourceFrame(0, 0, info.time_base, 1, planes, None)
    fields = [field_of(frame, info, parity) for parity in PARITIES]
    for parity, field in zip(PARITIES, fields, strict=True):
        tall = field_clip(info, parity).height
        assert [len(p) for p in field.planes] == plane_lines(info.format, 3, tall)
    back = weave(fields[0].planes, fields[1].planes, lines)
    assert all(torch.equal(a, b) for a, b in zip(back, planes, strict=True))


def test_refusing_fields_is_still_possible(clip: Path) -> None:
    with pytest.raises(UsageError, match="interlaced"):
        Reading(clip, interlaced="refuse").probe()


@pytest.mark.parametrize("target", ["out.mkv", "out.mov"])
def test_segments_of_a_farm_make_the_single_pass(target: str, tmp_path: Path) -> None:
    """Of a clip whose flags are silent: what its pictures said is in the plan."""
    path = write_frames(tmp_path / "in.mkv", noisy(truth(8), SIGMA))
    codec = "ffv1" if target.endswith("mkv") else "prores"
    words = ("--speed", "veryfast", "--codec", codec)
    plan = str(tmp_path / "plan.json")
    out = tmp_path / target
    asked = ["plan", str(path), "-o", plan, "--to", str(out), "--segment-frames", "3", *words]
    assert cli.status(asked) == 0
    assert cli.status(["run", "--plan", plan, "--device", "cpu"]) == 0
    assert cli.status(["farm", "assemble", "--plan", plan]) == 0
    single = tmp_path / f"single{out.suffix}"
    assert cli.status(["run", str(path), "-o", str(single), "--device", "cpu", *words]) == 0
    for a, b in zip(samples(out), samples(single), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_telecine_is_named(tmp_path: Path) -> None:
    """Film at 24 frames a second in 60 fields: its pictures are shown for 2, 3, 2, 3 fields."""
    shown = [n for n in range(16) for _ in range(2 + n % 2)]
    film = noisy([moving(2 * n, SIZE) for n in range(16)], 4)
    fields = [film[n] for n in shown]
    frames = [
        [np.where((np.arange(len(a)) % 2)[:, None] == 0, a, b) for a, b in zip(x, y, strict=True)]
        for x, y in zip(fields[0::2], fields[1::2], strict=True)
    ]
    path = write_frames(tmp_path / "in.mkv", frames, flag="tff")
    assert "2:3 telecine" in " ".join(measured(path).notes)
    plain = write_frames(tmp_path / "plain.mkv", noisy(truth(16), 4), flag="tff")
    assert "telecine" not in " ".join(measured(plain).notes)
