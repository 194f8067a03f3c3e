"""Film grain in AV1 streams: dav1d draws it, and every picture without it is what it was before."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.bitstream import BitStreamFilterContext

from tests.filmgrain.test_filmgrain import lag
from tests.helpers import images
from tests.helpers.av1grain import drawn, field_of
from tests.helpers.clips import HDR_OPTIONS, Clip, frame_of, write
from vdenoise import cli
from vdenoise.errors import VerifyError
from vdenoise.filmgrain.fit import GrainFit
from vdenoise.filmgrain.params import GrainParams, grain_seed
from vdenoise.media.av1.grain import GrainAdder, announced
from vdenoise.media.av1.headers import Headers
from vdenoise.media.av1.units import FRAME, FRAME_HEADER, UnreadableHeader, obus
from vdenoise.media.movie.encoder import open_encoder
from vdenoise.media.movie.hdr import comparable
from vdenoise.media.movie.tag import is_tag
from vdenoise.media.probe import probe

FAST = ("--speed", "veryfast", "--temporal-radius", "1", "--spatial", "gaussian", "--cuts", "off")
AV1 = ("--codec", "svt-av1")
CLEAN = {"export_side_data": "film_grain"}  # libdav1d then draws none
_LINE = re.compile(r"^(\d+)\s+(\S+)\s+([01]+) = -?\d+$")

Picture = Callable[[int, int, int], np.ndarray[Any, Any]]  # (height, width, frame) -> [0, 1]
Samples = list[np.ndarray[Any, Any]]  # Y, Cb and Cr, (T, h, w), in 8-bit codes


def packets(
    picture: Picture, frames: int, size: tuple[int, int], bits: int, **options: str
) -> list[Any]:
    """What SVT-AV1 makes of a picture; chroma is gray."""
    name = "yuv420p" if bits == 8 else "yuv420p10le"
    output = av.open(io.BytesIO(), "w", format="nut")
    stream: Any = output.add_stream("libsvtav1", rate=25, options={"preset": "8", **options})
    stream.width, stream.height, stream.pix_fmt = *size, name
    open_encoder(stream.codec_context)
    found = []
    for n in range(frames):
        frame = av.VideoFrame(*size, name)
        frame.pts = n
        for number, plane in enumerate(frame.planes):
            values = np.full((plane.height, plane.width), 0.5)
            if number == 0:
                values = picture(plane.height, plane.width, n)
            codes = np.rint(values * 255 * 2 ** (bits - 8)).astype(f"u{1 + (bits > 8)}")
            rows = np.zeros((plane.height, plane.line_size // codes.itemsize), codes.dtype)
            rows[:, : plane.width] = codes
            plane.update(rows.tobytes())
        found += stream.encode(frame)
    return found + stream.encode(None)


def moving(height: int, width: int, n: int) -> np.ndarray[Any, Any]:
    y, x = np.mgrid[:height, :width]
    zoom = 1 + 0.02 * n
    return 0.5 + 0.4 * np.sin(x * zoom / 7 + 0.01 * n * y) * np.cos(y * zoom / 9)


def text(height: int, width: int, n: int) -> np.ndarray[Any, Any]:
    """Few colors and sharp edges, as on a screen."""
    rng = np.random.default_rng(5)
    shape = (height, width + 32)
    return np.asarray(0.1 + 0.8 * (rng.random(shape) > 0.5))[:, n : n + width]


def bars(height: int, width: int, n: int) -> np.ndarray[Any, Any]:
    """A still of three levels."""
    return np.repeat(np.repeat(LEVELS, -(-width // 3))[None, :width] / 255, height, 0)


LEVELS = np.array([60.0, 128.0, 200.0])


def decoded(data: Sequence[bytes], options: dict[str, str]) -> Samples:
    context: Any = av.CodecContext.create("libdav1d", "r")
    context.options = options
    frames = [frame for one in data for frame in context.decode(av.Packet(one))]
    return samples([*frames, *context.decode(None)])


def samples(frames: Sequence[Any]) -> Samples:
    planes: list[list[np.ndarray[Any, Any]]] = [[], [], []]
    for frame in frames:
        bits = frame.format.components[0].bits
        for n, plane in enumerate(frame.planes):
            codes = np.frombuffer(plane, f"u{1 + (bits > 8)}").reshape(plane.height, -1)
            planes[n].append(codes[:, : plane.width].astype(np.float32) / 2 ** (bits - 8))
    return [np.stack(plane) for plane in planes]


def film(path: Path, options: dict[str, str]) -> Samples:
    """The frames of a file."""
    with av.open(str(path)) as source:
        video = source.streams.video[0]
        assert video.codec_context.codec.name == "libdav1d"
        video.codec_context.options = options
        return samples(list(source.decode(video)))


def drawn_in(path: Path) -> Samples:
    """The grain that dav1d draws."""
    return [a - b for a, b in zip(film(path, {}), film(path, CLEAN), strict=True)]


def added(source: Sequence[Any], bits: Callable[[int, bool], str], first: int = 0) -> list[bytes]:
    adder = GrainAdder(bits, None)
    try:
        for packet in source:
            adder.keep(packet, first + packet.pts)
        made = list(adder.packets())
    finally:
        adder.close()
    times = [(p.pts, p.dts, p.duration, p.is_keyframe) for p in source]
    assert [(p.pts, p.dts, p.duration, p.is_keyframe) for p in made] == times
    return [bytes(packet) for packet in made]


def params(sigma: Callable[[float], float] = lambda level: 6.0, chroma: float = 2.5) -> GrainParams:
    """Fitted to grain of 0.8 pixels."""
    fit = GrainFit()
    for t in range(4):
        y, u, v = (
            field_of(0.8, h, w, 0, t, n)
            for n, (h, w) in enumerate(((352, 480), (176, 240), (176, 240)))
        )
        ramp = torch.linspace(16, 235, 480).expand(352, 480)
        strength = torch.tensor([sigma(level) for level in ramp[0].tolist()])
        fit.push([(y * strength)[None], chroma * torch.stack([u, v])], ramp[None])
    found = fit.params()
    assert found is not None
    return found


def traced(data: Sequence[bytes]) -> Iterator[tuple[bytes, list[list[tuple[int, str, str]]]]]:
    """Each packet with what FFmpeg's own parser finds in its units: (bit, name, bits)."""
    previous = av.logging.get_level()
    av.logging.set_level(av.logging.TRACE)
    try:
        with av.open(io.BytesIO(b"".join(data)), format="obu") as source:
            trace = BitStreamFilterContext("trace_headers", source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    with av.logging.Capture() as logs:
                        one = bytes(packet)
                        trace.filter(packet)
                    units = "".join(line[2] for line in logs).split("OBU header\n")[1:]
                    found = [
                        [(int(m[1]), m[2], m[3]) for m in map(_LINE.match, lines) if m]
                        for lines in (unit.replace("\n ", "\n").split("\n") for unit in units)
                    ]
                    yield one, found[-len(list(obus(one))) :]
    finally:
        av.logging.set_level(previous)


# What a header may hold, each with options that make SVT-AV1 write it.
STREAMS: dict[str, tuple[Picture, int, tuple[int, int], int, dict[str, str]]] = {
    "pyramid": (moving, 20, (96, 64), 8, {"crf": "30"}),
    "10 bits, odd size": (moving, 18, (130, 98), 10, {"crf": "16", "preset": "6"}),
    "global motion": (moving, 12, (352, 288), 8, {"crf": "40", "preset": "4"}),
    "tiles": (moving, 6, (640, 360), 8, {"svtav1-params": "tile-columns=2:tile-rows=1"}),
    "segments": (text, 12, (256, 192), 8, {"svtav1-params": "aq-mode=1"}),
    "screen": (text, 12, (256, 192), 8, {"svtav1-params": "scm=1", "preset": "6"}),
    "lossless": (moving, 8, (128, 96), 8, {"svtav1-params": "lossless=1"}),
    "superres": (
        moving, 8, (256, 192), 8, {"svtav1-params": "superres-mode=1:superres-denom=12"}
    ),
    "other sizes": (
        moving, 8, (256, 192), 8,
        {"svtav1-params": "resize-mode=1:resize-denom=12:resize-kf-denom=12"},
    ),
    "matrices": (moving, 8, (128, 96), 10, {"svtav1-params": "enable-qm=1"}),
    "overlays": (moving, 12, (256, 192), 8, {"svtav1-params": "enable-overlays=1"}),
    "groups": (moving, 20, (128, 96), 8, {"g": "8", "preset": "10", "crf": "63"}),
    "low delay": (moving, 8, (128, 96), 8, {"svtav1-params": "pred-struct=1"}),
    "one frame": (moving, 1, (64, 48), 10, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_headers_end_where_ffmpeg_says_and_pictures_stay(name: str) -> None:
    """The parser against FFmpeg's, header by header; then with grain, against dav1d."""
    picture, frames, size, bits, options = STREAMS[name]
    source = packets(picture, frames, size, bits, **options)
    plain = [bytes(packet) for packet in source]
    headers, ends = Headers(), 0
    for n, (data, units) in enumerate(traced(plain)):
        for unit, told in zip(obus(data), units, strict=True):
            (frame,) = headers.read([unit], n)
            names = {name: value for _, name, value in told}
            if unit.kind not in (FRAME, FRAME_HEADER) or names["show_existing_frame"] == "1":
                assert frame is None
                continue
            *_, (at, _, value) = (entry for entry in told if not _BEHIND.match(entry[1]))
            assert frame is not None
            assert frame.end == at + len(value) - 8 * (len(unit.bytes()) - len(unit.payload))
            assert frame.shown == (names["show_frame"] == "1")
            ends += 1
    assert ends >= frames
    wanted = params()
    made = added(source, lambda number, inter: wanted.bits(grain_seed(number, 0), inter=inter))
    before, clean, grainy = decoded(plain, {}), decoded(made, CLEAN), decoded(made, {})
    assert len(before[0]) == frames
    for a, b, c in zip(before, clean, grainy, strict=True):
        assert np.array_equal(a, b)
        assert all((c[n] - b[n]).std() > 1 for n in range(frames))
    told_of = [name for _, units in traced(made) for unit in units for _, name, _ in unit]
    assert told_of.count("apply_grain") == ends


_BEHIND = re.compile(r"zero_bit|trailing_|tile_start_and_end|tg_")  # the header


@pytest.mark.parametrize("bits", [8, 10])
def test_a_decoder_draws_what_the_numbers_say(bits: int) -> None:
    """Sigma at three levels and lag-1 correlation, within 10 %."""

    def sigma(level: float) -> float:
        return 3 + 16 * (level / 255) * (1 - level / 255)

    wanted = params(sigma)
    source = packets(bars, 8, (480, 160), bits, crf="10")
    made = added(source, lambda number, inter: wanted.bits(grain_seed(number, 0), inter=inter))
    grain = [a - b for a, b in zip(decoded(made, {}), decoded(made, CLEAN), strict=True)]
    for n, level in enumerate(LEVELS):
        part = torch.from_numpy(grain[0][:, :, 160 * n + 8 : 160 * n + 152])
        assert part.std() == pytest.approx(sigma(level), rel=0.1)
        for down, across in ((0, 1), (1, 0)):
            told = drawn(wanted.filters, wanted.filter_shift)[0]
            assert lag(part, down, across) == pytest.approx(lag(told, down, across), rel=0.1)
    for plane in grain[1:]:
        assert plane.std() == pytest.approx(2.5, rel=0.1)
    weak = wanted.times(0.5)
    made = added(source, lambda number, inter: weak.bits(grain_seed(number, 0), inter=inter))
    half = [a - b for a, b in zip(decoded(made, {}), decoded(made, CLEAN), strict=True)]
    assert half[0].std() == pytest.approx(grain[0].std() / 2, rel=0.1)


def gray(height: int, width: int, n: int) -> np.ndarray[Any, Any]:
    return np.full((height, width), 128 / 255)


def test_grain_is_a_frames_own_wherever_a_clip_begins() -> None:
    """A part of a clip is drawn as in the whole of it; no two frames are drawn alike; and frames
    that are coded early and shown late get the grain of when they are shown."""
    wanted = params()

    def bits(number: int, inter: bool) -> str:
        return wanted.bits(grain_seed(number, 7), inter=inter) if number != 9 else "0"

    whole = decoded(added(packets(gray, 20, (96, 64), 8), bits), {})[0]
    part = decoded(added(packets(gray, 12, (96, 64), 8), bits, first=5), {})[0]
    assert np.array_equal(whole[5:17], part)
    assert (whole[9] == 128).all()
    rest = [n for n in range(20) if n != 9]
    assert min(np.abs(whole[a] - whole[b]).mean() for a in rest for b in rest if a < b) > 2


def test_no_seed_draws_nothing_and_none_comes_back_soon() -> None:
    seeds = [grain_seed(n, 0) for n in range(60_000)]
    assert len({*seeds}) > 59_990 and not {0, 0xB524, 0x49D8} & {*seeds}
    assert all(0 <= seed < 65536 for seed in seeds)
    assert grain_seed(3, 1) != grain_seed(3, 0)


def test_what_would_change_a_picture_is_refused() -> None:
    source = packets(moving, 12, (96, 64), 8)
    for _ in range(20):  # a decoder that is left with work in hand once waited for itself, at times
        with pytest.raises(VerifyError, match="not the same"):
            added(source, lambda number, inter: "1" * 40)
    own = packets(moving, 4, (96, 64), 8, **{"svtav1-params": "film-grain=20"})
    with pytest.raises(VerifyError, match="film grain of the encoder's own"):
        added(own, lambda number, inter: "0")
    with pytest.raises(UnreadableHeader, match="cut off"):
        list(obus(bytes(source[0])[:-1]))
    with pytest.raises(VerifyError, match="ends early"):
        announced(b"\x0a\x02\x00\x00")


def streams_of(path: Path) -> tuple[dict[int, list[Any]], dict[str, str], int]:
    """Every packet's times, and its bytes but for video; metadata but the recipe's; chapters."""
    found: dict[int, list[Any]] = {}
    with av.open(str(path)) as source:
        for packet in source.demux():
            data = b"" if packet.stream.type == "video" else bytes(packet)
            times = packet.pts, packet.dts, packet.duration, packet.is_keyframe
            found.setdefault(packet.stream_index, []).append((*times, data))
        kept = {k: v for k, v in source.metadata.items() if not is_tag(v)}
        return found, kept, len(source.chapters())


def call(*words: object) -> int:
    return cli.status([str(word) for word in words])


@pytest.mark.parametrize("container", ["mkv", "mp4", "webm"])
def test_a_run_changes_nothing_but_the_grain(container: str, tmp_path: Path) -> None:
    """Times, key frames, sound, subtitles, chapters, metadata and the picture without grain."""
    clip = write(
        Clip(
            "in.mkv", "ffv1", frames=14, size=(160, 96), audio=("eng",), subtitles=True,
            chapters=True, metadata={"title": "kept"}, timecode="10:00:00:00",
        ),
        tmp_path,
    )  # fmt: skip
    with_, without = tmp_path / f"with.{container}", tmp_path / f"without.{container}"
    assert call("run", clip, "-o", without, *AV1, *FAST) == 0
    assert call("run", clip, "-o", with_, *AV1, *FAST, "--grain", "av1") == 0
    assert streams_of(with_) == streams_of(without)
    for a, b in zip(film(with_, CLEAN), film(without, {}), strict=True):
        assert np.array_equal(a, b)
    removed = [a - b for a, b in zip(film_of(clip), film(without, {}), strict=True)]
    for grain, gone in zip(drawn_in(with_), removed, strict=True):
        assert grain.std() == pytest.approx(gone.std(), rel=0.15)
    with av.open(str(with_)) as a, av.open(str(without)) as b:
        mine, plain = (c.streams.video[0].codec_context.extradata for c in (a, b))
        assert mine is not None and plain is not None and mine[4:] == announced(plain[4:])
    assert not list(tmp_path.glob(".*"))


def film_of(path: Path) -> Samples:
    with av.open(str(path)) as source:
        return samples(list(source.decode(video=0)))


def test_hdr10_stays(tmp_path: Path) -> None:
    clip = write(
        Clip("in.mov", "libx265", "yuv420p10le", tags=(9, 16, 9, 1), options=HDR_OPTIONS,
             size=(96, 64), audio=("eng",)),
        tmp_path,
    )  # fmt: skip
    for name in ("a.mp4", "a.mkv"):
        assert call("run", clip, "-o", tmp_path / name, *AV1, *FAST, "--grain", "av1") == 0
        kept, given = (comparable(probe(path).hdr) for path in (tmp_path / name, clip))
        assert kept == given != {}
        assert all(plane.std() > 1 for plane in drawn_in(tmp_path / name)[:1])


def test_each_shot_has_its_own_grain_and_segments_have_a_single_passs(tmp_path: Path) -> None:
    """What is joined from segments is the same file; a shot without noise is drawn without."""
    two = tmp_path / "two.mkv"
    with av.open(str(two), "w") as output:
        stream: Any = output.add_stream("ffv1", rate=25, options={"level": "3"})
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        for n in range(13):
            frame = frame_of(Clip("noisy", size=(160, 128)), n)
            for plane in frame.planes if n >= 7 else ():
                plane.update(b"\x64" * plane.buffer_size)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    (tmp_path / "cuts.txt").write_text("7\n")
    given = (*AV1, *FAST[:-2], "--cuts", tmp_path / "cuts.txt", "--grain", "av1:80", "--sigma", "9")
    table = tmp_path / "grain.tbl"
    one, many = tmp_path / "one.mkv", tmp_path / "many.mkv"
    assert call("run", two, "-o", one, *given, "--grain-table", table) == 0
    for grain in drawn_in(one):
        assert all(grain[n].std() > 2 for n in range(7)) and not grain[7:].any()
    assert table.read_text().count("\nE ") == 1
    plan = tmp_path / "plan.json"
    assert call("plan", two, "-o", plan, "--to", many, *given, "--segment-frames", "4") == 0
    assert call("run", "--plan", plan) == 0
    assert call("farm", "assemble", "--plan", plan) == 0
    assert all(np.array_equal(a, b) for a, b in zip(film(one, {}), film(many, {}), strict=True))
    assert streams_of(one) == streams_of(many)


def test_grain_of_rgb_is_fitted_to_the_yuv_that_is_coded(tmp_path: Path) -> None:
    """Levels and strength in limited range, chroma thinned."""
    rng = np.random.default_rng(4)
    for n in range(4):
        codes = np.clip(0.4 + 0.05 * rng.normal(size=(128, 160, 3)), 0, 1) * 65535
        images.write(tmp_path / f"plate.{n}.tif", codes.astype(np.uint16), "uint16")
    clip = tmp_path / "plate.#.tif"
    grainy, plain = tmp_path / "grainy.mkv", tmp_path / "plain.mkv"
    given = (*AV1, *FAST, "--sigma", "12", "--crf", "2")
    assert call("run", clip, "-o", grainy, *given, "--grain", "av1") == 0
    assert call("run", clip, "-o", plain, *given, "--luma", 0, "--chroma", 0) == 0
    gone = [a - b for a, b in zip(film(plain, {}), film(grainy, CLEAN), strict=True)]
    for grain, removed in zip(drawn_in(grainy), gone, strict=True):
        assert grain.std() == pytest.approx(removed.std(), rel=0.15)


REFUSED = {
    "another codec": (["out.mkv"], "E0299", "is written as ffv1"),
    "images": (["out.####.png"], "E0299", "AV1 decoders"),
    "a share by mask": (
        ["out.mkv", *AV1, "--mask", "m=rect:0,0,9,9,grain=20"],
        "E02138",
        "mask.m gives a share of the grain",
    ),
    "quicktime": (["out.mov", *AV1], "E0223", "cannot be written as mov"),
    "transport streams": (["out.ts", *AV1], "E0223", "cannot be written as mpegts"),
}


@pytest.mark.parametrize(("words", "code", "answer"), REFUSED.values(), ids=REFUSED)
def test_where_no_decoder_would_draw_it_it_is_refused(
    words: list[str],
    code: str,
    answer: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    clip = write(Clip("in.mkv", "ffv1", frames=2, time_base=Fraction(1, 1000)), tmp_path)
    for command in (("run", clip, "-o", *words), ("plan", clip, "-o", "p.json", "--to", *words)):
        assert call(*command, *FAST, "--grain", "av1") == 2
        said = " ".join(capsys.readouterr().err.split())
        assert code in said and answer in said
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv"}
