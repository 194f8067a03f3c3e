"""Containers, codecs and kinds of streams: what is said before the start, and what came of it.

    python -m benchmarks.media_matrix                    # all, into results/media_matrix.json
    python -m benchmarks.media_matrix ts-aac mkv-srt     # these sources alone
    python -m benchmarks.media_matrix --page             # the table, from what is on file

Sources of 12 frames are made with the ffmpeg program and run into every container with nothing
removed, once with ``--dry-run`` and once for real: the verdict must be the same. Of a cell that is
written ffprobe's view (streams, their first and last times and holes, marks, words, chapters, side
data) is compared with that of the source field by field, and each difference has a name or is a
fault; so is a cell that is refused where ``ffmpeg -c copy``, the yardstick, keeps all of it. An old
ffprobe does not know what newer ones read, such as PCM in MP4: then the libraries of PyAV are
asked, and it is told.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.media_cell import try_cell
from benchmarks.media_sources import SOURCES, make
from benchmarks.media_view import view
from benchmarks.results import FOLDER, Row, load, machine, save

RESULTS = FOLDER / "media_matrix.json"
PAGE = Path(__file__).parents[1] / "docs" / "media_matrix.md"
TARGETS = ("mov", "mp4", "mkv", "webm", "mxf", "avi", "ts", "nut")
_SOURCE = "source"  # in the place of a target: the row with the view of a source


def cells(rows: list[Row]) -> list[Row]:
    """The rows of what was written, or refused."""
    return [row for row in rows if row["target"] != _SOURCE]


def page(rows: list[Row]) -> str:
    """The table, in Markdown."""
    tried = cells(rows)
    by_place = {(row["source"], row["target"]): row for row in tried}
    names = [name for name in SOURCES if any((name, t) in by_place for t in TARGETS)]
    kept = sum(row["said"] == "kept" and not row["fault"] for row in tried)
    wrong = sum(bool(row["fault"]) for row in tried)
    copied = Counter(row["copy"] for row in tried)
    one = sum(row["said"] == row["came"] for row in tried)
    lines = [
        "# What each container keeps of each stream",
        "",
        "<!-- Made by `python -m benchmarks.media_matrix --page`. -->",
        "",
        f"{len(names)} clips of 12 frames, made with FFmpeg and written into every container with",
        f"nothing removed: {kept} cells written and checked; {len(tried) - kept - wrong} refused",
        f"before the start; {wrong} at fault. Of kept streams ffprobe sees the same codec, rate,",
        "channels, size and language as in the source. What is left out is named before the start,",
        "and an error under `--strict`; what is written anew is named by its encoder.",
        "",
        f"Each cell was run with `--dry-run` and for real: {one} of {len(tried)} with one verdict.",
        "ffprobe sees the same times, holes, marks, words, chapters and side data as well, but for",
        "the differences below. By the same comparison `ffmpeg -c copy` leaves",
        f"{copied['as the source']} cells as the source is, and cannot write {copied['refused']}.",
        "",
        "| source | " + " | ".join(TARGETS) + " |",
        "| --- |" + " --- |" * len(TARGETS),
    ]
    for name in names:
        told = (_told(by_place.get((name, target))) for target in TARGETS)
        lines.append(f"| {name} | {' | '.join(told)} |")
    lines += ["", "Where ffprobe sees something else, and why:", ""]
    return "\n".join([*lines, *_reasons(tried)]) + "\n"


def _reasons(tried: list[Row]) -> Iterator[str]:
    """Each named reason, with the fields and containers that it is about."""
    places: dict[str, Counter[str]] = {}
    fields: dict[str, set[str]] = {}
    for row in tried:
        for told in row.get("differs", []):
            what, _, why = told.rpartition(": ")
            places.setdefault(why, Counter())[row["target"]] += 1
            fields.setdefault(why, set()).add(what.partition(":")[0].rpartition(" ")[2])
    for why in sorted(places):
        where = ", ".join(f"{target} {n}" for target, n in sorted(places[why].items()))
        yield f"* {why} ({', '.join(sorted(fields[why]))}): {where}."


def _told(row: Row | None) -> str:
    if row is None:
        return ""
    if row["fault"]:
        return "FAULT"
    if row["said"] != "kept":
        return f"refused, {row['said']}"
    others = {text for text in row["streams"].values() if text != "kept"}
    return ", ".join(sorted(others)) or "kept"


def try_source(name: str) -> Iterator[Row]:
    """One source: the row with its view, and one for each target."""
    with tempfile.TemporaryDirectory(prefix="media-matrix-") as folder:
        source = make(name, Path(folder))
        yield {"source": name, "target": _SOURCE, "seen": view(source)}
        for target in TARGETS:
            cell = try_cell(source, Path(folder, f"out.{target}"))
            yield {"source": name, "target": target, **cell}
            print(name, target, cell["said"], cell["fault"] or "ok", sep=" | ", flush=True)


def main() -> None:
    """See the module's own text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sources", nargs="*", choices=[*SOURCES, []], metavar="SOURCE")
    parser.add_argument("--page", action="store_true", help="only write the table")
    given = parser.parse_args()
    rows = load(RESULTS).get("rows", [])
    order = {name: n for n, name in enumerate(SOURCES)}
    for name in () if given.page else given.sources or SOURCES:
        rows = [row for row in rows if row["source"] != name] + list(try_source(name))
        rows.sort(key=lambda row: order[row["source"]])
        save(RESULTS, {"schema": 2, "machine": machine(), "rows": rows})
    PAGE.write_text(page(rows))


if __name__ == "__main__":
    main()
