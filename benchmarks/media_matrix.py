"""Containers, codecs and kinds of streams: what is said before the start, and what came of it.

    python -m benchmarks.media_matrix                    # all, into results/media_matrix.json
    python -m benchmarks.media_matrix ts-aac mkv-srt     # these sources alone
    python -m benchmarks.media_matrix --page             # the table, from what is on file

Sources of 12 frames are made with the ffmpeg program and written, with nothing removed, into every
container. A cell is at fault where a clip that nothing was said against before the start (what
``run --dry-run`` asks: `choose` and `rehearse`) is not written or fails the check, or where ffprobe
sees a stream that is told to be kept otherwise than in the source. An old ffprobe does not know
what newer ones read, such as PCM in MP4: then the libraries of PyAV are asked, and it is told.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.results import FOLDER, Row, load, save
from vdenoise.errors import UsageError, VdenoiseError
from vdenoise.media.inputs import open_input, video_of
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.media.movie.packets import codec_of
from vdenoise.media.movie.rehearsal import rehearse
from vdenoise.media.movie.settings import choose
from vdenoise.media.movie.streams import plan_copies
from vdenoise.media.movie.writer import MovieWriter
from vdenoise.media.probe import probe
from vdenoise.media.reader import Reader
from vdenoise.media.verify import Report
from vdenoise.picture.color import lift
from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.samples import apply_correction

RESULTS = FOLDER / "media_matrix.json"
PAGE = Path(__file__).parents[1] / "docs" / "media_matrix.md"
TARGETS = ("mov", "mp4", "mkv", "webm", "mxf", "avi", "ts", "nut")

_SECONDS = 0.48  # 12 frames
_INPUTS = (
    *("-f", "lavfi", "-i", f"testsrc2=s=64x64:r=25:d={_SECONDS}"),
    *("-f", "lavfi", "-i", f"sine=r=48000:d={_SECONDS}"),
)
_H264 = "-c:v libx264 -preset ultrafast -bf 2 -pix_fmt yuv420p"
_MJPEG = "-c:v mjpeg -pix_fmt yuvj420p"
_PRORES = "-c:v prores_ks -pix_fmt yuv422p10le"
_MPEG2 = "-c:v mpeg2video -pix_fmt yuv420p -b:v 3M"
_VP9 = "-c:v libvpx-vp9 -cpu-used 8 -pix_fmt yuv420p"
_SUBTITLES = "1\n00:00:00,080 --> 00:00:00,200\none\n\n2\n00:00:00,240 --> 00:00:00,400\ntwo\n"


def _sounds(container: str, picture: str, *codecs: str) -> dict[str, str]:
    """Options for one source of each sound codec; options of its own may follow a codec's name."""
    options = f"-map 0:v -map 1:a {picture} -strict -2 -ac 2 -c:a"
    return {
        f"{container}-{codec.split()[0].replace('_', '-')}": f"{options} {codec}"
        for codec in codecs
    }


# Options of FFmpeg's program by source; the part before the hyphen is the container's extension.
# Input 2 is a subtitle, input 3 a font.
SOURCES: dict[str, str] = {
    **_sounds(
        "ts", _H264, "libmp3lame", "mp2", "ac3", "eac3", "dca", "aac", "s302m", "truehd", "libopus",
        "pcm_bluray",
    ),
    **_sounds("vob", _MPEG2, "pcm_dvd", "mp2", "ac3"),
    **_sounds(
        "mov", _PRORES, "pcm_s16le", "pcm_s24le", "pcm_s16be", "pcm_f32le", "pcm_mulaw", "pcm_alaw",
        "pcm_u8", "adpcm_ms", "adpcm_ima_qt", "alac", "aac", "ac3", "libmp3lame",
    ),
    **_sounds("mp4", _H264, "aac", "ac3", "eac3", "libmp3lame", "alac", "flac", "libopus"),
    **_sounds(
        "mkv", _H264, "flac", "libvorbis", "libopus", "pcm_s24le", "pcm_f32le", "ac3", "dca",
        "truehd", "libmp3lame", "alac", "wavpack", "tta",
    ),
    **_sounds(
        "avi", _MJPEG, "pcm_s16le", "pcm_mulaw", "adpcm_ms", "adpcm_ima_wav", "wmav2",
        "libmp3lame", "mp2", "ac3",
    ),
    **_sounds("wmv", "-c:v wmv2 -pix_fmt yuv420p", "wmav2"),
    **_sounds("webm", _VP9, "libopus", "libvorbis"),
    **_sounds("mxf", _MPEG2, "pcm_s16le -ac 1"),
    "ts-latm": f"-map 0:v -map 1:a {_H264} -c:a aac -mpegts_flags +latm",
    "mkv-srt": f"-map 0:v -map 2:s {_H264} -c:s srt -metadata:s:s language=fra",
    "mkv-ass": f"-map 0:v -map 2:s {_H264} -c:s ass",
    "mkv-webvtt": f"-map 0:v -map 2:s {_H264} -c:s webvtt",
    "mp4-mov-text": f"-map 0:v -map 2:s {_H264} -c:s mov_text",
    "mkv-font": f"-map 0:v {_H264} -attach font.ttf -metadata:s:t mimetype=font/ttf",
    "mov-timecode": f"-map 0:v {_PRORES} -timecode 01:02:03:04",
    "ts-two-pictures": f"-map 0:v -map 0:v -map 1:a {_H264} -c:a mp2",
    "mov-sound-longer": f"-map 0:v -map 1:a {_PRORES} -c:a pcm_s16le -af apad=pad_dur=0.5",
    "mov-sound-shorter": f"-map 0:v -map 1:a {_PRORES} -c:a pcm_s16le -af atrim=end=0.2",
    "mov-timescale-600": f"-map 0:v -map 1:a {_H264} -video_track_timescale 600 -c:a aac",
    "ts-one-frame": f"-map 0:v -map 1:a {_H264} -frames:v 1 -c:a mp2",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One source in one container.

    Args:
        said: ``kept``, or the error's code where the start refuses it.
        notes: what was said beside it.
        came: ``kept``, or what failed behind the start.
        streams: by kind and codec: ``kept``, ``as CODEC`` or ``left out``.
        seen: what ffprobe sees otherwise; empty where nothing.
    """

    said: str
    notes: tuple[str, ...] = ()
    came: str = ""
    streams: dict[str, str] | None = None
    seen: tuple[str, ...] = ()

    @property
    def fault(self) -> str:
        """What is wrong with it, in words; nothing where it is as it is to be."""
        if self.said != "kept":
            return ""
        return self.came if self.came != "kept" else "; ".join(self.seen)


def make(name: str, folder: Path) -> Path:
    """Make a source.

    Raises:
        subprocess.CalledProcessError: FFmpeg cannot.
    """
    (folder / "words.srt").write_text(_SUBTITLES)
    (folder / "font.ttf").write_bytes(bytes(range(256)))
    path = folder / f"{name}.{name.partition('-')[0]}"
    options = SOURCES[name].split()
    line = ["ffmpeg", "-v", "error", "-y", *_INPUTS, "-i", "words.srt", *options]
    subprocess.run(
        [*line, "-threads", "1", path.name],
        check=True, capture_output=True, cwd=folder, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return path


def try_cell(source: Path, target: Path) -> Cell:
    """Ask what is said before the start, and where nothing is said against it, write."""
    info = probe(source)
    try:
        settings = choose(info, target)
        rehearse(info, settings, 0, info.frames - 1)
    except UsageError as refused:
        return Cell(refused.code, (refused.what,))
    notes = tuple(settings.notes)
    try:
        write_unchanged(info, settings, target)
    except VdenoiseError as error:
        return Cell("kept", notes, f"{error.code} {error.what}")
    streams, seen = _compared(source, target, settings.container)
    return Cell("kept", notes, "kept", streams, seen)


def write_unchanged(
    info: ClipInfo,
    settings: EncodeSettings,
    target: Path,
    *,
    first: int = 0,
    last: int | None = None,
) -> Report:
    """Each frame with a correction of zero, through the writer and the check of a run.

    Args:
        info: the source.
        settings: how it is written.
        target: the output.
        first: absolute number of the first frame.
        last: absolute number of the last one; None for the clip's.
    """
    with (
        Reader(info, first=first, last=last) as reader,
        MovieWriter(
            info, target, settings, source=info.path, first=reader.first, last=reader.last
        ) as writer,
    ):
        for frame in reader:
            luma, chroma = lift(frame, info)
            planes = apply_correction(
                frame.planes,
                torch.zeros_like(luma),
                None if chroma is None else torch.zeros_like(chroma),
                info.format,
                info.full_range,
                out=settings.pixel_format,
                dither_seed=(0, frame.index),
            )
            writer.write(frame, planes)
    return writer.commit()


def _compared(source: Path, target: Path, container: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """What became of each stream beside the picture, and what ffprobe sees otherwise."""
    with open_input(source) as opened:
        video = video_of(opened, source)
        picture = video.index
        plan = plan_copies(opened, video, container)
    before, after = _ffprobe(source), _ffprobe(target)
    if not before or not after:
        return {}, ("ffprobe cannot read it",)
    streams: dict[str, str] = {}
    seen = []
    left = [s for s in after if s is not after[0]]
    for stream in before:
        name = f"{stream.get('codec_type', 'unknown')} {stream.get('codec_name', '')}".strip()
        if stream["index"] in plan.rewritten:
            streams[name] = f"as {plan.rewritten[stream['index']]}"
        elif stream["index"] in plan.copied:
            streams[name] = "kept"
            match = next((s for s in left if _key(s) == _key(stream)), None)
            if match is None and _read_by_pyav(stream, target):
                streams[name] = "kept (newer than this ffprobe)"
            elif match is None:
                seen.append(f"{name} {_key(stream)[2:]} is not among {[_key(s) for s in left]}")
            else:
                left.remove(match)
        elif any(re.search(rf"stream {stream['index']}\b", note) for note in plan.notes):
            streams[name] = "left out"
        elif stream["index"] != picture and stream.get("codec_tag_string") != "tmcd":
            seen.append(f"{name} is lost without a word")  # but timecode, which is made anew
    return streams, tuple(seen)


def _read_by_pyav(stream: dict[str, Any], target: Path) -> bool:
    with open_input(target) as opened:
        return stream.get("codec_name") in [codec_of(s) for s in opened.streams]


_SAME = {"mp2": "mp3"}  # MPEG-TS has one name for both


def _key(stream: dict[str, Any]) -> tuple[Any, ...]:
    codec = stream.get("codec_name", "")
    language = stream.get("tags", {}).get("language", "und")
    return (
        *(stream.get("codec_type"), _SAME.get(codec, codec)),
        *(stream.get("sample_rate"), stream.get("channels"), stream.get("width")),
        *(stream.get("height"), language),
    )


def _ffprobe(path: Path) -> list[dict[str, Any]]:
    line = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(path)]
    done = subprocess.run(line, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        return []
    found: list[dict[str, Any]] = json.loads(done.stdout)["streams"]
    return found


def row_of(source: str, target: str, cell: Cell) -> Row:
    """As it stands in the result file."""
    return {
        "source": source, "target": target, "said": cell.said, "came": cell.came,
        "streams": cell.streams or {}, "notes": list(cell.notes), "fault": cell.fault,
    }  # fmt: skip


def page(rows: list[Row]) -> str:
    """The table, in Markdown."""
    cells = {(row["source"], row["target"]): row for row in rows}
    names = [name for name in SOURCES if any((name, t) in cells for t in TARGETS)]
    kept = sum(row["said"] == "kept" and not row["fault"] for row in rows)
    wrong = sum(bool(row["fault"]) for row in rows)
    lines = [
        "# What each container keeps of each stream",
        "",
        "<!-- Made by `python -m benchmarks.media_matrix --page`. -->",
        "",
        f"{len(names)} clips of 12 frames, made with FFmpeg and written into every container with",
        f"nothing removed: {kept} cells written and checked;",
        f"{len(rows) - kept - wrong} refused before the start; {wrong} failed behind it. Of kept",
        "streams ffprobe sees the same codec, rate, channels, size and language as in the source.",
        "What is left out is named before the start, and an error under `--strict`; what is",
        "written anew is named by its encoder.",
        "",
        "| source | " + " | ".join(TARGETS) + " |",
        "| --- |" + " --- |" * len(TARGETS),
    ]
    for name in names:
        told = (_told(cells.get((name, target))) for target in TARGETS)
        lines.append(f"| {name} | {' | '.join(told)} |")
    return "\n".join(lines) + "\n"


def _told(row: Row | None) -> str:
    if row is None:
        return ""
    if row["fault"]:
        return "FAULT"
    if row["said"] != "kept":
        return f"refused, {row['said']}"
    others = {text for text in row["streams"].values() if text != "kept"}
    if any(" cannot keep " in note for note in row["notes"]):
        others.add("left out")
    return ", ".join(sorted(others)) or "kept"


def main() -> None:
    """See the module's own text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sources", nargs="*", choices=[*SOURCES, []], metavar="SOURCE")
    parser.add_argument("--page", action="store_true", help="only write the table")
    given = parser.parse_args()
    rows = load(RESULTS).get("rows", [])
    for name in () if given.page else given.sources or SOURCES:
        rows = [row for row in rows if row["source"] != name]
        with tempfile.TemporaryDirectory(prefix="media-matrix-") as folder:
            source = make(name, Path(folder))
            for target in TARGETS:
                cell = try_cell(source, Path(folder, f"out.{target}"))
                rows.append(row_of(name, target, cell))
                print(
                    name, target, cell.said, cell.fault or "ok", *cell.notes, sep=" | ", flush=True
                )
        order = list(SOURCES)
        rows.sort(key=lambda row: (order.index(row["source"]), TARGETS.index(row["target"])))
        save(RESULTS, {"schema": 1, "rows": rows})
    PAGE.write_text(page(rows))


if __name__ == "__main__":
    main()
