"""One clip in one container: what a dry run says, what a run does, and what ffprobe sees of it."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.media_reasons import reason
from benchmarks.media_view import View, differences, view
from vdenoise import cli
from vdenoise.media.inputs import open_input, video_of
from vdenoise.media.movie.codecs import CONTAINERS, M2TS
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.media.movie.packets import codec_of
from vdenoise.media.movie.streams import plan_copies
from vdenoise.media.movie.writer import MovieWriter
from vdenoise.media.reader import Reader
from vdenoise.media.verify import Report
from vdenoise.picture.color import lift
from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.samples import apply_correction

# Nothing is measured and nothing removed: what a run does to frames is no matter here.
UNCHANGED = shlex.split(
    "--speed veryfast --temporal-radius 0 --spatial gaussian --sigma 5 --cuts off --luma 0 "
    "--chroma 0 --overwrite --progress json"
)
_SAME = {"mp2": "mp3"}  # MPEG-TS has one name for both


@dataclass(frozen=True)
class Cell:
    """One source in one container.

    Args:
        said: ``kept``, or the code of the error that a dry run ends with.
        came: the same of the run.
        notes: what a dry run warned of.
        streams: by kind and codec: ``kept``, ``as CODEC`` or ``left out``.
        seen: what ffprobe sees of the output.
        differs: what is not as in the source, each with the reason for it, or with none.
        copy: what ``ffmpeg -c copy`` makes of the same: ``as the source``, ``refused``, or what is
            not as it was.
        fault: what is wrong with it, in words; nothing where it is as it is to be.
    """

    said: str
    came: str
    notes: list[str] = field(default_factory=list)
    streams: dict[str, str] = field(default_factory=dict)
    seen: View = field(default_factory=dict)
    differs: list[str] = field(default_factory=list)
    copy: str = ""
    fault: str = ""


def try_cell(source: Path, target: Path) -> dict[str, Any]:
    """Ask what is said before the start, write, and look at what was written; see `Cell`."""
    before = view(source)
    line = ["run", str(source), "-o", str(target), *UNCHANGED]
    said, notes = verdict([*line, "--dry-run"])
    came, _ = verdict(line)
    copied = _copied(source, target.with_stem("copy"), before)
    made = Cell(said, came, notes, copy=copied)
    if said != came:
        return asdict(made) | {"fault": f"a dry run says {said}, the run {came}"}
    if said != "kept":
        fault = "ffmpeg -c copy keeps all of it" if copied == "as the source" else ""
        return asdict(made) | {"fault": fault}
    after = view(target)
    if not after:
        return asdict(made) | {"fault": "ffprobe cannot read it"}
    streams, pairs, lost = _matched(source, target, before, after, notes)
    differs = list(_differing(before, after, pairs, target, notes))
    faults = [*lost, *(told for told in differs if told.endswith(": no reason"))]
    return asdict(made) | {
        "streams": streams, "seen": after, "differs": differs, "fault": "; ".join(faults),
    }  # fmt: skip


def verdict(line: list[str]) -> tuple[str, list[str]]:
    """How a command line ends, and what it warns of."""
    heard = io.StringIO()
    with contextlib.redirect_stderr(heard), contextlib.redirect_stdout(io.StringIO()):
        code = cli.status(line)
    events = [json.loads(told) for told in heard.getvalue().splitlines() if told.startswith("{")]
    error = next((e["code"] for e in events if e["event"] == "error"), f"exit {code}")
    warnings = [e["text"] for e in events if e["event"] == "warning"]
    return ("kept" if code == 0 else error), warnings


def _copied(source: Path, target: Path, before: View) -> str:
    line = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-map", "0", "-c", "copy"]
    done = subprocess.run(
        [*line, str(target)], capture_output=True, stdin=subprocess.DEVNULL, text=True
    )
    after = view(target) if done.returncode == 0 else {}
    target.unlink(missing_ok=True)
    if not after:
        return "refused"
    pairs = list(_pairs(before, after, range(len(before["streams"]))))
    lacks = [s for n, s in enumerate(before["streams"]) if n not in dict(pairs)]
    found = [f"without {s['type']} {s['index']}" for s in lacks]
    for each in differences(before, after, pairs):
        if not reason(each, before, target.suffix[1:], []):
            found.append(str(each))
    return "; ".join(found) or "as the source"


def _pairs(before: View, after: View, wanted: Any) -> Iterator[tuple[int, int]]:
    """Places of streams that belong together: the same kind and codec, in their order."""
    left = list(range(len(after["streams"])))
    for number in wanted:
        one = before["streams"][number]
        for other in left:
            if _alike(one, after["streams"][other]):
                left.remove(other)
                yield number, other
                break


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if "picture" == one["type"] == other["type"] and one["index"] == 0:
        return True
    codecs = [_SAME.get(s.get("codec_name", ""), s.get("codec_name")) for s in (one, other)]
    return bool(one["type"] == other["type"] and codecs[0] == codecs[1])


def _matched(
    source: Path, target: Path, before: View, after: View, notes: list[str]
) -> tuple[dict[str, str], list[tuple[int, int]], list[str]]:
    """What became of each stream, which streams belong together, and what is lost."""
    with open_input(source) as opened:
        video = video_of(opened, source)
        m2ts = target.suffix in M2TS
        plan = plan_copies(opened, video, CONTAINERS[target.suffix], m2ts=m2ts)
        picture = video.index
    places = {s["index"]: n for n, s in enumerate(before["streams"])}
    kept = [places[n] for n in (picture, *plan.copied) if n in places]
    pairs = list(_pairs(before, after, kept))
    streams, lost = {}, []
    made = [n for n in range(len(after["streams"])) if n not in dict(pairs).values()]
    for place, stream in enumerate(before["streams"]):
        number = stream["index"]
        name = f"{stream['type']} {number} {stream.get('codec_name', '')}".strip()
        if number in plan.rewritten:
            codec = plan.rewritten[number].removeprefix("lib").replace("srt", "subrip")
            match = [n for n in made if after["streams"][n].get("codec_name") == codec]
            streams[name] = f"as {plan.rewritten[number]}"
            pairs += [(place, match[0])] if match else []
            if not match and codec not in _codecs_by_pyav(target):
                lost.append(f"{name} is not there as {codec}")
            made = [n for n in made if n not in match[:1]]
        elif number == picture or number in plan.copied:
            streams[name] = "kept"
            if place not in dict(pairs) and stream.get("codec_name") in _codecs_by_pyav(target):
                streams[name] = "kept (newer than this ffprobe)"
            elif place not in dict(pairs):
                lost.append(f"{name} is not there")
        elif any(re.search(rf"stream {number}\b", note) for note in notes):
            streams[name] = "left out"
        elif stream["type"] == "audio" and stream.get("sample_rate", "0") == "0":
            continue  # nothing is in it
        elif stream["type"] != "data":  # timecode, which is made anew
            lost.append(f"{name} is lost without a word")
    return streams, pairs, lost


def _differing(
    before: View, after: View, pairs: list[tuple[int, int]], target: Path, notes: list[str]
) -> Iterator[str]:
    for each in differences(before, after, pairs):
        yield f"{each}: {reason(each, before, target.suffix[1:], notes) or 'no reason'}"


def _codecs_by_pyav(target: Path) -> list[str]:
    """What newer libraries than those of this ffprobe read."""
    with open_input(target) as opened:
        return [codec_of(stream) for stream in opened.streams]


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
