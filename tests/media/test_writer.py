"""What is written where, how it is chosen, and that nothing wrong gets a name."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from av.video.codeccontext import VideoCodecContext

from tests.helpers.clips import MATRIX, Clip, picture, write
from vdenoise.errors import UsageError, VerifyError
from vdenoise.media.movie import hdr
from vdenoise.media.movie import writer as writer_module
from vdenoise.media.movie.encoder import EncodeSettings, open_encoder
from vdenoise.media.movie.settings import choose
from vdenoise.media.movie.writer import MovieWriter
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.media.verify import verify
from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.samples import apply_correction


def copy(
    info: ClipInfo,
    target: Path,
    settings: EncodeSettings,
    *,
    first: int = 0,
    last: int | None = None,
) -> None:
    with (
        Reader(info, first=first, last=last) as reader,
        MovieWriter(
            info, target, settings, source=info.path, first=reader.first, last=reader.last
        ) as writer,
    ):
        for frame in reader:
            writer.write(
                frame,
                apply_correction(
                    frame.planes,
                    None,
                    None,
                    info.format,
                    info.full_range,
                    out=settings.pixel_format,
                    dither_seed=(0, frame.index),
                ),
            )
    writer.commit()


@pytest.fixture
def info(tmp_path: Path) -> ClipInfo:
    return probe(write(MATRIX["ntsc.mov"], tmp_path))


def made(name: str, folder: Path, **changes: Any) -> ClipInfo:
    return probe(write(replace(MATRIX["plain.mp4"], name=name, **changes), folder))


@pytest.mark.parametrize(
    ("target", "codec", "encoder", "label"),
    [
        ("out.mov", None, "libx264", "8-bit 4:2:0"),
        ("out.mp4", None, "libx264", "8-bit 4:2:0"),
        ("out.mkv", "ffv1", "ffv1", "8-bit 4:2:0"),
        ("out.mov", "prores", "prores_ks", "10-bit 4:2:2"),
        ("out.mkv", "x265", "libx265", "8-bit 4:2:0"),
        ("out.mp4", "svt-av1", "libsvtav1", "8-bit 4:2:0"),
        ("out.webm", None, "libvpx-vp9", "8-bit 4:2:0"),
        ("out.y4m", None, "wrapped_avframe", "8-bit 4:2:0"),
        ("out.avi", None, "ffv1", "8-bit 4:2:0"),
        ("out.nut", "rawvideo", "rawvideo", "8-bit 4:2:0"),
        ("out.ts", None, "libx264", "8-bit 4:2:0"),
        ("-", None, "rawvideo", "8-bit 4:2:0"),
    ],
)
def test_choice_and_a_file_that_verifies(
    info: ClipInfo, target: str, codec: str | None, encoder: str, label: str, tmp_path: Path
) -> None:
    path = Path(target) if target == "-" else tmp_path / target
    settings = choose(info, path, codec=codec)
    assert (settings.encoder, settings.pixel_format.label) == (encoder, label)
    assert settings == EncodeSettings.model_validate_json(settings.model_dump_json())
    if target != "-":
        copy(info, path, settings)
        out = probe(path)
        assert out.frames == info.frames
        if settings.lossless and settings.pixel_format == info.format:
            with Reader(info) as a, Reader(out) as b:
                for x, y in zip(a, b, strict=True):
                    assert all(torch.equal(p, q) for p, q in zip(x.planes, y.planes, strict=True))


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="Linux")
def test_no_encoder_makes_threads_real_time_ones(info: ClipInfo, tmp_path: Path) -> None:
    """Root's SVT-AV1 does: a run took the whole machine, and could wait for itself for ever."""

    def threads() -> list[int]:
        return [int(path.name) for path in Path("/proc/self/task").iterdir()]

    def policies() -> set[int]:
        return {os.sched_getscheduler(thread) for thread in threads()}

    before = policies()
    settings = choose(info, tmp_path / "out.mp4", codec="svt-av1")
    assert policies() == before
    copy(info, tmp_path / "out.mp4", settings)
    assert policies() == before
    encoder = av.CodecContext.create("libsvtav1", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 64, 64, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    without = len(threads())
    open_encoder(encoder)
    assert len(threads()) > without and policies() == before


def test_dnxhr_by_depth(tmp_path: Path) -> None:
    for fmt, profile in (("yuv422p10le", "dnxhr_hqx"), ("yuv420p", "dnxhr_hq")):
        clip = Clip(f"{fmt}.mkv", codec="ffv1", format=fmt, size=(256, 128), frames=2,
                    time_base=Fraction(1, 1000))  # fmt: skip
        info = probe(write(clip, tmp_path))
        settings = choose(info, tmp_path / "out.mov", codec="dnxhr")
        assert settings.options["profile"] == profile
        copy(info, tmp_path / f"{profile}.mov", settings)


@pytest.mark.parametrize("profile", ["proxy", "lt", "standard", "hq", "4444", "4444xq"])
def test_prores_keeps_its_profile(profile: str, tmp_path: Path) -> None:
    fmt = "yuv444p10le" if profile.startswith("4444") else "yuv422p10le"
    clip = Clip("in.mov", codec="prores_ks", format=fmt, options={"profile": profile}, frames=2)
    info = probe(write(clip, tmp_path))
    settings = choose(info, tmp_path / "out.mov")
    assert (settings.codec, settings.options["profile"]) == ("prores", profile)
    assert settings.dithers(info) == (fmt == "yuv444p10le")  # decoded with 12 bits
    assert bool(settings.notes) == settings.dithers(info)


@pytest.mark.parametrize(
    ("target", "options", "number", "words"),
    [
        ("out.xyz", {}, 21, "extension"),
        ("out", {}, 21, "extension"),
        ("out.mp4", {"container": "ogg"}, 104, "ogg"),
        ("out.mp4", {"codec": "h266"}, 22, "h266"),
        ("out.mp4", {"codec": "prores"}, 23, "mp4"),
        ("out.webm", {"codec": "x264"}, 23, "webm"),
        ("out.mp4", {"codec": "x264", "crf": 99}, 23, "0 to 51"),
        ("out.mov", {"codec": "prores", "crf": 10}, 23, "CRF"),
        ("out.mp4", {"codec": "svt-av1", "bit_depth": 12}, 23, "12 bits"),
        ("out.mp4", {"options": {"profil": "high"}}, 24, "profil"),
        ("out.mov", {"codec": "prores", "options": {"crf": "3"}}, 24, "crf"),
    ],
)
def test_what_cannot_work_is_said_with_what_would(
    info: ClipInfo, target: str, options: dict[str, Any], number: int, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        choose(info, tmp_path / target, **options)
    assert caught.value.number == number
    assert words in caught.value.what
    assert caught.value.hint.endswith((".", f"encoder={caught.value.hint.rpartition('=')[2]}"))
    assert list(tmp_path.glob("out*")) == []


def test_ten_bits_never_become_eight_unasked(tmp_path: Path) -> None:
    clip = Clip("in.mkv", codec="ffv1", format="yuv420p10le", time_base=Fraction(1, 1000))
    info = probe(write(clip, tmp_path))
    assert choose(info, tmp_path / "o.mp4", codec="x264").pixel_format.bits == 10
    with pytest.raises(UsageError, match="webm"):
        choose(info, tmp_path / "o.webm", codec="vp9")
    narrow = choose(info, tmp_path / "o.mp4", codec="x264", bit_depth=8)
    assert narrow.dithers(info)
    assert any("8 bits, dithered" in note for note in narrow.notes)
    copy(info, tmp_path / "o.mp4", narrow)
    assert probe(tmp_path / "o.mp4").format.bits == 8


def test_chroma_and_alpha_are_never_dropped(tmp_path: Path) -> None:
    dense = Clip("a.mkv", codec="ffv1", format="yuv444p10le", time_base=Fraction(1, 1000))
    with pytest.raises(UsageError, match="svt-av1"):
        choose(probe(write(dense, tmp_path)), tmp_path / "o.mp4", codec="svt-av1")
    matte = probe(write(MATRIX["alpha.mov"], tmp_path))
    with pytest.raises(UsageError, match="alpha"):
        choose(matte, tmp_path / "o.mp4", codec="x264")


def test_interlaced_video_only_where_it_can_be_told(tmp_path: Path) -> None:
    info = probe(write(MATRIX["interlaced.mov"], tmp_path))
    for codec in ("svt-av1", "dnxhr", "x265"):
        with pytest.raises(UsageError, match="interlaced"):
            choose(info, tmp_path / "o.mp4", codec=codec)


@pytest.mark.parametrize("target", ["out.mov", "out.mkv"])
def test_a_part_of_a_clip(info: ClipInfo, target: str, tmp_path: Path) -> None:
    path = tmp_path / target
    copy(info, path, choose(info, path), first=5, last=9)
    out = probe(path)
    assert out.frames == 5
    assert out.timecode == "01:02:03:09"
    with Reader(info, first=5, last=9) as a, Reader(out) as b:
        for x, y in zip(a, b, strict=True):
            there = (x.pts - info_pts(info, 5)) * x.time_base
            assert abs(there - (y.pts - out.start_pts) * y.time_base) <= Fraction(1, 1000)
    with av.open(str(path)) as container:
        audio = container.streams.audio[0]
        times = [float(p.pts * p.time_base) for p in container.demux(audio) if p.size]
        assert times and min(times) >= -0.03 and max(times) < 5 / 23
        assert len(container.chapters()) == 2  # the second half of one, the start of the next


def info_pts(info: ClipInfo, number: int) -> int:
    with Reader(info, first=number, last=number) as reader:
        return next(iter(reader)).pts


def test_text_subtitles_follow_into_another_container(tmp_path: Path) -> None:
    for name, target, codec in (
        ("everything.mkv", "out.mov", "mov_text"),
        ("subtitles.mp4", "out.mkv", "subrip"),
    ):
        source = write(MATRIX[name], tmp_path)
        info = probe(source)
        settings = choose(info, tmp_path / target, codec="x264")
        copy(info, tmp_path / target, settings)
        with av.open(str(tmp_path / target)) as container:
            stream = container.streams.subtitles[0]
            assert stream.codec_context.codec.canonical_name == codec
            assert stream.metadata["language"] == "eng"
            events = [p for p in container.demux(stream) if p.size]
            begin = probe(tmp_path / target).start_pts or 0  # Matroska: moved by AAC's priming
            video = container.streams.video[0]
            starts = [
                round(float(p.pts * p.time_base - begin * video.time_base), 2)
                for p in events
                if len(bytes(p)) > 2
            ]
            assert starts == [0.0, 0.2]


def test_what_a_container_cannot_hold_is_said_before(tmp_path: Path) -> None:
    info = probe(write(MATRIX["everything.mkv"], tmp_path))
    settings = choose(info, tmp_path / "o.mov", codec="x264")
    assert any("attachment" in note for note in settings.notes)
    info = probe(write(MATRIX["ntsc.mov"], tmp_path))
    notes = " ".join(choose(info, tmp_path / "o.y4m").notes)
    for lost in ("audio", "chapters", "timecode", "color tags"):
        assert lost in notes


def test_standard_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = Clip("in.mkv", codec="ffv1", format="yuv422p10le", time_base=Fraction(1, 1000))
    info = probe(write(clip, tmp_path))
    for container in ("nut", "yuv4mpegpipe"):
        written = io.BytesIO()

        class Pipe(io.RawIOBase):
            def writable(self) -> bool:
                return True

            def write(self, data: Any, to: io.BytesIO = written) -> int:
                return to.write(bytes(data))

        class Stdout:
            buffer = Pipe()

        monkeypatch.setattr(writer_module.sys, "stdout", Stdout())
        settings = choose(info, Path("-"), container=container)
        copy(info, Path("-"), settings)
        path = tmp_path / f"piped.{container}"
        path.write_bytes(written.getvalue())
        with Reader(probe(path)) as reader:
            for frame in reader:
                for plane, wanted in zip(frame.planes, picture(clip, frame.index), strict=True):
                    assert torch.equal(plane, torch.from_numpy(wanted))
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".mkv", ".nut", ".yuv4mpegpipe"]


def test_a_wrong_output_gets_no_name(
    info: ClipInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = replace(info, sample_aspect_ratio=Fraction(4, 3))
    settings = choose(info, tmp_path / "out.mov")
    target = tmp_path / "out.mov"
    real = verify

    def strict(found: ClipInfo, *rest: Any, **options: Any) -> Any:
        return real(wrong, *rest, **options)

    monkeypatch.setattr(writer_module, "verify", strict)
    with pytest.raises(VerifyError, match="sample aspect ratio") as caught:
        copy(info, target, settings)
    assert caught.value.exit_code == 9
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ntsc.mov"]


@pytest.mark.parametrize(
    ("other", "finding"),
    [
        ({"frames": 11}, "frames"),
        ({"tags": (9, 16, 9, 1)}, "primaries"),
        ({"tags": (1, 1, 1, 2)}, "range"),
        ({"rate": Fraction(30000, 1001), "time_base": Fraction(1, 30000)}, "timestamps"),
        ({"timecode": "09:00:00:00"}, "timecode"),
        ({"aspect": Fraction(4, 3)}, "sample aspect ratio"),
        ({"rotation": 90}, "rotation"),
        ({"audio": ("deu",)}, "audio"),
        ({"audio": ()}, "streams"),
        ({"chapters": False}, "chapters"),
        ({"size": (48, 64)}, "size"),
        ({"pts": lambda n: 1001 * n + 200 * (n == 4)}, "timestamps"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_verify_finds_each_difference(
    info: ClipInfo, other: dict[str, Any], finding: str, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    assert verify(info, info.path).ok
    path = write(replace(MATRIX["ntsc.mov"], **other), folder)
    findings = verify(info, path).findings
    assert any(finding in found for found in findings)


def test_frames_must_come_in_order_and_all(info: ClipInfo, tmp_path: Path) -> None:
    target = tmp_path / "out.mov"
    settings = choose(info, target)
    with Reader(info) as reader:
        frames = list(reader)
    with pytest.raises(AssertionError), MovieWriter(info, target, settings) as writer:
        writer.write(frames[1], frames[1].planes)
    with (
        pytest.raises(AssertionError, match="1 of 12"),
        MovieWriter(info, target, settings) as writer,
    ):
        writer.write(frames[0], frames[0].planes)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ntsc.mov"]


@pytest.mark.parametrize("codec", ["prores", "dnxhr", "ffv1", "x265", "x264", "svt-av1"])
@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".mp4"])
def test_hdr10_is_kept_or_said_to_be_lost(codec: str, suffix: str, tmp_path: Path) -> None:
    clip = replace(MATRIX["bt2020.mp4"], size=(256, 128), frames=4)
    info = probe(write(clip, tmp_path))
    assert info.hdr["content_light"] == {"max": 1000, "average": 400}
    target = tmp_path / f"out{suffix}"
    try:
        settings = choose(info, target, codec=codec)
    except UsageError:
        assert (codec, suffix) in {
            ("ffv1", ".mov"),
            ("dnxhr", ".mkv"),
            ("prores", ".mp4"),
            ("dnxhr", ".mp4"),
            ("svt-av1", ".mov"),
        }
        return
    assert not any("HDR10" in note for note in settings.notes)
    copy(info, target, settings)
    out = probe(target)
    assert hdr.comparable(out.hdr) == hdr.comparable(info.hdr)
    assert (out.primaries, out.transfer, out.matrix) == ("bt2020", "smpte2084", "bt2020nc")


@pytest.mark.parametrize(("code", "name"), [(1, "bt709"), (6, "smpte170m"), (9, "bt2020nc")])
def test_dnxhr_tells_the_matrix(code: int, name: str, tmp_path: Path) -> None:
    clip = Clip("in.mkv", codec="ffv1", format="yuv422p10le", size=(256, 128), frames=2,
                tags=(code, 1, code, 1), time_base=Fraction(1, 1000))  # fmt: skip
    info = probe(write(clip, tmp_path))
    copy(info, tmp_path / "out.mov", choose(info, tmp_path / "out.mov", codec="dnxhr"))
    assert probe(tmp_path / "out.mov").matrix == info.matrix == name


@pytest.mark.parametrize(
    ("target", "coded"), [("out.mov", "uyvy422"), ("out.avi", "yuv422p"), ("out.nut", "yuv422p")]
)
def test_uncompressed_video_gets_a_layout_the_container_names(
    target: str, coded: str, tmp_path: Path
) -> None:
    clip = Clip("in.mkv", codec="ffv1", format="yuv422p", frames=3, time_base=Fraction(1, 1000))
    info = probe(write(clip, tmp_path))
    settings = choose(info, tmp_path / target, codec="rawvideo")
    assert settings.coded_format == coded
    copy(info, tmp_path / target, settings)
    with Reader(probe(tmp_path / target)) as reader:
        for frame in reader:
            for plane, wanted in zip(frame.planes, picture(clip, frame.index), strict=True):
                assert torch.equal(plane, torch.from_numpy(wanted))
