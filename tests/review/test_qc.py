"""The gates of qc: each finds its own fault and only that, and a good result fires none."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch

from benchmarks import gates
from vdenoise import cli
from vdenoise.chain.preset_files import shipped
from vdenoise.engine.tiles import Area
from vdenoise.picture.color import lift_planes
from vdenoise.picture.frame import ClipInfo, PixelFormat, SourceFrame
from vdenoise.review import figures
from vdenoise.review.gates import GATES, GateName, gates_table
from vdenoise.review.inspect import Inspector
from vdenoise.review.judged import Figure, Judged, Pair, blocks, worse
from vdenoise.review.levels import ChromaSwap
from vdenoise.review.verdict import Inspection

PAGE = Path(__file__).resolve().parents[2] / "docs" / "review.md"
HEIGHT, WIDTH, FRAMES, CUT = 160, 224, 12, 8
SIGMA = 6.0  # codes of luma
Planes = list[np.ndarray[Any, Any]]  # Y, Cb, Cr of a frame, in codes
Fault = Callable[[int, Planes], Planes]

FMT = PixelFormat("yuv420p", "yuv", 8, 1, 1)


def texture() -> np.ndarray[Any, Any]:
    grain = np.random.default_rng(5).normal(0, 1, (HEIGHT, WIDTH + 64))
    fine = cv2.GaussianBlur(grain, (0, 0), 0.8)
    return np.asarray(14 * fine / fine.std())


TEXTURE = texture()


def truth(n: int) -> Planes:
    """A sky that slopes, fine texture that pans, and a bright square that moves; then a cut."""
    luma = np.tile(120 + 20 * np.arange(WIDTH) / WIDTH, (HEIGHT, 1))
    luma[64:, :96] = 90 + TEXTURE[64:, n : n + 96]
    left = 100 + 8 * (n % CUT)
    luma[88:136, left : left + 40] = 200
    if n >= CUT:
        luma = 230 - luma[:, ::-1] + 20
    cb, cr = np.full((HEIGHT // 2, WIDTH // 2), 120.0), np.full((HEIGHT // 2, WIDTH // 2), 136.0)
    return [luma, cb, cr]


def noise(n: int) -> Planes:
    rng = np.random.default_rng((3, n))
    sizes = ((HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2), (HEIGHT // 2, WIDTH // 2))
    return [rng.normal(0, sigma, s) for s, sigma in zip(sizes, (SIGMA, 3, 3), strict=True)]


def good(n: int, _: Planes) -> Planes:
    return [a + 0.15 * b for a, b in zip(truth(n), noise(n), strict=True)]


def luma_of(change: Callable[[int, np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> Fault:
    def fault(n: int, found: Planes) -> Planes:
        return [change(n, found[0]), *found[1:]]

    return fault


def trail(n: int, luma: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    before = truth(n - 1 if n % CUT else n)[0]
    return np.asarray(luma + 0.35 * (before - truth(n)[0]))


def blurred(n: int, luma: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    found = luma.copy()
    part = (slice(64, None), slice(0, 96) if n < CUT else slice(WIDTH - 96, None))
    found[part] = cv2.GaussianBlur(luma[part], (0, 0), 2.5)
    return found


def banded(n: int, luma: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    found = luma.copy()
    found[:64] = np.round(truth(n)[0][:64] / 3) * 3
    return found


def bleeding(n: int, luma: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(0.85 * luma + 0.15 * truth(CUT - 1)[0]) if n == CUT else luma


def clipped(n: int, luma: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    found = luma.copy()
    found[::16, ::18] = 240
    return found


FAULTS: dict[str, tuple[GateName, Fault]] = {
    "ghost trail": ("ghosting", luma_of(trail)),
    "blurred texture": ("structure", luma_of(blurred)),
    "one-code color shift": ("color", lambda n, p: [p[0], p[1] + 1, p[2]]),
    "pulsing level": ("flicker", luma_of(lambda n, y: y + 1.5 * (-1) ** n)),
    "banded sky": ("banding", luma_of(banded)),
    "dropped frame": ("frames", lambda n, p: good(min(n + (n >= 4), FRAMES - 1), p)),
    "frozen frame": ("frames", lambda n, p: good(n - (n == 5), p)),
    "two frames late": ("frames", lambda n, p: good(max(n - 2, 0), p)),
    "a cut that bleeds": ("cuts", luma_of(bleeding)),
    "clipped values": ("clipping", luma_of(clipped)),
    "moved by a pixel": ("shift", lambda n, p: [np.roll(plane, 1, axis=1) for plane in p]),
}
PLACES: dict[str, Area] = {  # what the region must share with where the fault is
    "blurred texture": Area(64, HEIGHT, 0, 96),
    "banded sky": Area(0, 64, 0, WIDTH),
}


def samples(planes: Planes) -> tuple[torch.Tensor, ...]:
    codes = (np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in planes)
    return tuple(torch.from_numpy(plane) for plane in codes)


def info() -> ClipInfo:
    return ClipInfo(
        path=Path("clip.mkv"), container="", codec="", width=WIDTH, height=HEIGHT, format=FMT,
        source_format="yuv420p", time_base=Fraction(1, 25), rate=Fraction(25), frames=FRAMES,
        duration=1.0, start_pts=0, variable_rate=False, full_range=False, matrix="bt709",
        matrix_guessed=False, primaries="bt709", transfer="bt709", chroma_location="left",
        field_order="progressive", sample_aspect_ratio=Fraction(1),
    )  # fmt: skip


def inspected(
    fault: Fault | None = None,
    cuts: Sequence[int] | None = None,
    frames: int = FRAMES,
    loud: float = 1.0,
) -> Inspection:
    inspector = Inspector(info(), FMT)
    for n in range(frames):
        noisy = [a + loud * b for a, b in zip(truth(n), noise(n), strict=True)]
        source = SourceFrame(n, n, Fraction(1, 25), 1, samples(noisy), None)
        result = good(n, [])
        inspector.push(source, samples(result if fault is None else fault(n, result)))
    return inspector.finish(cuts)


def test_a_good_result_fires_no_gate() -> None:
    found = inspected()
    assert [v.gate.name for v in found.verdicts] == list(GATES)
    assert [v.text() for v in found.failed] == []
    assert found.frames == FRAMES and set(found.series["structure"]) == set(range(1, FRAMES)) - {
        CUT
    }


@pytest.mark.parametrize("name", FAULTS)
def test_each_gate_finds_its_own_fault_and_only_that(name: str) -> None:
    gate, fault = FAULTS[name]
    found = inspected(fault)
    assert [v.gate.name for v in found.failed] == [gate], [v.text() for v in found.failed]
    (verdict,) = found.failed
    assert verdict.gate.advice
    if name in PLACES:
        assert verdict.area is not None
        both = verdict.area.common(PLACES[name])
        assert both.bottom > both.top and both.right > both.left
    if gate == "frames":
        assert verdict.frame in (2, 3, 4, 5)
    if gate == "cuts":
        assert verdict.frame == CUT
    if gate == "color":
        assert verdict.detail.startswith("Cb")
    amount = f"{verdict.amount:.2g} {verdict.gate.unit}"
    row = f"| {name} | `{gate}` | {amount} | {GATES[gate].limit:g} |"
    assert row in PAGE.read_text(encoding="utf-8").splitlines(), row


@pytest.mark.parametrize("share", [0.12, 0.25])
def test_a_ghost_is_read_as_strong_as_it_is(share: float) -> None:
    def ghost(n: int, found: Planes) -> Planes:
        before = truth(n - 1 if n % CUT else n)[0]
        return [found[0] + share * (before - truth(n)[0]), *found[1:]]

    (verdict,) = (v for v in inspected(ghost, frames=5).verdicts if v.gate.name == "ghosting")
    assert verdict.amount == pytest.approx(100 * share, abs=1.5)


def test_good_results_of_every_preset_on_every_sample_fired_no_gate() -> None:
    """As `benchmarks.gates` found: it takes an hour on a busy machine."""
    rows = json.loads(gates.TARGET.read_text(encoding="utf-8"))["rows"]
    wanted = {(preset, sample) for preset in shipped() for sample in gates.PARTS}
    assert {(row["preset"], row["sample"]) for row in rows} == wanted
    assert [row for row in rows if row["fired"]] == []
    most = max(row["structure"] for row in rows)
    assert f"is {100 * most:.0f} % of its limit" in PAGE.read_text(encoding="utf-8"), most


@pytest.mark.parametrize("level", [-2.0, 255.0])
def test_crushed_blacks_may_come_out_black(level: float) -> None:
    """What noise lifted off the end of the range goes back there; no clipping is new in that."""
    drawn = torch.from_numpy(np.random.default_rng(8).normal(level, 6, (1, 96, 96)) / 255).float()
    end = torch.full_like(drawn, float(level > 0))
    source = drawn.clamp(0, 1)
    assert float(((source - end).abs() > 2 / 255).float().mean()) > 0.1
    found = figures.clipping(Judged(0, source, end))
    assert found.amount < GATES["clipping"].limit / 10


def test_blacks_that_were_crushed_are_clipped() -> None:
    drawn = torch.from_numpy(np.random.default_rng(8).normal(20, 6, (1, 96, 96)) / 255).float()
    found = figures.clipping(Judged(0, drawn, torch.zeros_like(drawn)))
    assert found.amount > 900


def test_whites_at_the_end_of_the_video_range_are_clipped() -> None:
    """235 is a rounding below 1 as a float: blown whites passed for unclipped."""
    drawn = torch.from_numpy(np.random.default_rng(8).normal(215, 6, (96, 96))).round()
    blown, gray = torch.full((96, 96), 235.0).byte(), torch.full((48, 48), 128.0).byte()
    before, after = (
        lift_planes((y, gray, gray), FMT, False, None)[0] for y in (drawn.byte(), blown)
    )
    assert figures.clipping(Judged(0, before, after)).amount > 900
    assert figures.clipping(Judged(0, after, after)).amount == 0


def test_strong_noise_passes_for_no_ghost() -> None:
    """What was removed and what moves are told from the same noisy frame, and yet not mixed up."""

    def clean(n: int, _: Planes) -> Planes:
        return truth(n)

    (verdict,) = (
        v for v in inspected(clean, frames=5, loud=5.0).verdicts if v.gate.name == "ghosting"
    )
    assert verdict.amount < 10


@pytest.mark.parametrize("size", [(144, 192), (104, 72), (40, 304)])
def test_areas_reach_the_edges_of_the_picture(size: tuple[int, int]) -> None:
    height, width = size
    x = torch.zeros(1, height, width)
    x[:, -8:, -8:] = 1
    nothing = torch.zeros(1, height, width)
    found = worse(Figure(0.0), blocks(x), Judged(0, nothing, nothing))
    assert found.area is not None and found.amount > 0
    assert (found.area.bottom, found.area.right) == size


def test_swapped_colors_are_told_where_a_level_holds_all_of_them() -> None:
    """Their means at a level are the same then, as they are in the picture of a crowd."""
    rng = np.random.default_rng(4)
    true = torch.from_numpy(cv2.GaussianBlur(rng.normal(0, 1, (96, 96, 2)), (0, 0), 9)).float()
    true = 0.1 * true.permute(2, 0, 1) / true.std()
    noisy = true + torch.from_numpy(rng.normal(0, 8 / 255, true.shape)).float()
    right, swapped = ChromaSwap(), ChromaSwap()
    right.push(noisy, true)
    swapped.push(noisy, true.flip(0))
    assert right.shift() is None
    off = swapped.shift()
    assert off is not None and off > 5


@pytest.mark.parametrize(("pulse", "fires"), [(0.0, False), (1.5, True)])
def test_light_that_pulses_is_seen_where_everything_moves(pulse: float, fires: bool) -> None:
    rng = np.random.default_rng(9)

    def frame(n: int) -> Judged:
        """Another texture each time: nothing of it can be followed, or is calm."""
        drawn = cv2.GaussianBlur(rng.normal(0, 1, (128, 128)), (0, 0), 6)
        clean = 0.5 + 0.15 * torch.from_numpy(drawn / drawn.std())[None].float()
        source = clean + torch.from_numpy(rng.normal(0, 8 / 255, (1, 128, 128))).float()
        return Judged(n, source, clean + pulse / 255 * (-1) ** n)

    frames = [frame(n) for n in range(6)]
    most = max(figures.flicker(Pair(a, b)).amount for a, b in pairwise(frames))
    assert (most > GATES["flicker"].limit) == fires


def test_the_source_itself_passes() -> None:
    def untouched(n: int, _: Planes) -> Planes:
        return [a + b for a, b in zip(truth(n), noise(n), strict=True)]

    assert inspected(untouched).failed == ()


def test_the_page_shows_the_gates() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert gates_table() in page, gates_table()


def movie(path: Path, make: Callable[[int], Planes], numbers: Sequence[int]) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for n in numbers:
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            for plane, values in zip(frame.planes, samples(make(n)), strict=True):
                padded = np.zeros((plane.height, plane.line_size), np.uint8)
                padded[:, : values.shape[1]] = values.numpy()
                plane.update(padded.tobytes())
            frame.pts, frame.time_base = n, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def noisy(n: int) -> Planes:
    return [a + b for a, b in zip(truth(n), noise(n), strict=True)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return movie(tmp_path_factory.mktemp("qc") / "source.mkv", noisy, range(6))


def test_qc_of_files_ends_with_7_and_says_where(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = movie(tmp_path / "good.mkv", lambda n: good(n, []), range(6))
    args = ["qc", str(source), "--progress", "none"]
    assert cli.status([*args, str(clean)]) == 0
    assert "structure" in capsys.readouterr().out
    gate, fault = FAULTS["ghost trail"]
    bad = movie(tmp_path / "bad.mkv", lambda n: fault(n, good(n, [])), range(6))
    assert cli.status([*args, str(bad)]) == 7
    said = capsys.readouterr()
    assert "FAILED" in said.out and "--motion-threshold 30" in said.err
    last = said.err.splitlines()[-1]
    assert "E0701 [exit 7]" in last and "ghosting" in last and "frame " in last and "64x64" in last
    assert cli.status([*args, str(bad), "--json"]) == 7
    told = json.loads(capsys.readouterr().out)
    assert not told["passed"] and [g["gate"] for g in told["gates"] if not g["ok"]] == [gate]


def test_a_part_is_judged_against_the_frames_that_it_holds(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As its recipe says, or as typed: a part's own times begin at 0 again."""
    judged: list[int] = []
    push = Inspector.push

    def counted(self: Inspector, source: SourceFrame, *rest: Any) -> None:
        judged.append(source.index)
        push(self, source, *rest)

    def seen() -> list[int]:
        found = list(judged)
        judged.clear()
        return found

    monkeypatch.setattr(Inspector, "push", counted)
    part = movie(tmp_path / "part.mkv", lambda n: good(n + 2, []), range(3))
    args = ["qc", str(source), str(part), "--json", "--progress", "none"]
    assert cli.status([*args, "--frames", "7-9"]) == 2
    assert cli.status([*args, "--frames", "2-4"]) == 0
    assert seen() == [2, 3, 4]
    made = tmp_path / "made.mkv"
    words = ["--sigma", "2", "--speed", "veryfast", "--cuts", "off", "--progress", "none"]
    assert cli.status(["run", str(source), "-o", str(made), "--frames", "1-4", *words]) == 0
    cli.status(["qc", str(source), str(made), "--json", "--progress", "none"])
    assert seen() == [1, 2, 3, 4]
    renamed = made.rename(tmp_path / "renamed.mkv")  # its tag names the recipe
    cli.status(["qc", str(source), str(renamed), "--json", "--progress", "none"])
    assert seen() == [1, 2, 3, 4]
    whole = movie(tmp_path / "whole.mkv", lambda n: good(n, []), range(6))
    cli.status(["qc", str(source), str(whole), "--json", "--progress", "none"])
    assert seen() == list(range(6))
    assert '"frames"' in capsys.readouterr().out


@pytest.mark.parametrize("missing", [3, 5])
def test_a_frame_that_the_file_does_not_have_is_missing(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: int
) -> None:
    numbers = [n for n in range(6) if n != missing]
    short = movie(tmp_path / "short.mkv", lambda n: good(n, []), numbers)
    status = cli.status(["qc", str(source), str(short), "--json", "--progress", "none"])
    told = {g["gate"]: g for g in json.loads(capsys.readouterr().out)["gates"]}
    if missing == 5:  # a result may end earlier: it is a part
        assert status == 0
        return
    assert status == 7 and told["frames"]["frame"] == 3 and told["frames"]["figure"] == 1
    assert all(gate["ok"] for name, gate in told.items() if name != "frames")


@pytest.mark.parametrize(("how", "status"), [("warn", 0), ("fail", 7), ("off", 0)])
def test_a_run_judges_what_it_writes(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str, status: int
) -> None:
    """A blur that is far too strong takes the texture along."""
    clean = tmp_path / "clean.mkv"
    chain = ["--sigma", "25", "--temporal", "none", "--model", "none", "--spatial", "gaussian"]
    more = ["--set", "spatial.strength=2", "--set", "spatial.size=3", "--device", "cpu"]
    args = ["run", str(source), "-o", str(clean), *chain, *more, "--qc", how, "--progress", "plain"]
    assert cli.status(args) == status
    said = capsys.readouterr().err
    assert clean.exists() and (tmp_path / "clean.mkv.vdenoise.json").exists()
    assert ("structure" in said) == (how != "off")
    assert ("E0701 [exit 7]" in said) == (how == "fail")
