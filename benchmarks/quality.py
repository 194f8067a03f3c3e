"""Quality of vdenoise and its peers on clips whose clean version is known.

``python -m benchmarks.quality --data FOLDER`` runs everything and rewrites ``results/quality.json``
and ``docs/quality.md``; ``--clips``, ``--kinds``, ``--competitors`` and ``--frames`` do a part and
merge it. Peers search for their best setting unless ``--keep-settings`` takes the ones on file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks import clips, results
from benchmarks.clips import Clip
from benchmarks.peers import PEERS, best_setting, timed, versions

OURS = {"vdenoise": (), "vdenoise --speed fast": ("--speed", "fast")}


def main() -> None:
    """Run the chosen part, merge it into the results and write the table again."""
    chosen = _arguments()
    for name in chosen.clips:
        clean = clips.load_clean(chosen.data, name, chosen.frames)
        for kind in chosen.kinds:
            with tempfile.TemporaryDirectory(prefix="vdenoise-quality-") as folder:
                clip = clips.make(clean, name, kind, Path(folder))
                for competitor in chosen.competitors:
                    known = _known()
                    old = known.get((name, kind, competitor))
                    if old and chosen.missing:
                        continue
                    hints = [r for r in known.values() if r["kind"] == kind]
                    row = measure(clip, competitor, old if chosen.keep_settings else None, hints)
                    print(results.line(row), flush=True)
                    _merge(row)
    results.write_quality_page()


def _known() -> dict[tuple[str, str, str], dict[str, Any]]:
    """The rows on file now: other parts may be running at the same time."""
    return {results.key(row): row for row in results.load(results.QUALITY).get("rows", [])}


def _merge(row: dict[str, Any]) -> None:
    rows = _known() | {results.key(row): row}
    content = {
        "schema": results.SCHEMA,
        "machine": results.machine() | versions(),
        "seed": clips.SEED,
        "rows": sorted(rows.values(), key=results.order),
    }
    results.save(results.QUALITY, content)


def measure(
    clip: Clip, competitor: str, old: dict[str, Any] | None, hints: list[dict[str, Any]]
) -> dict[str, Any]:
    """One row: run a competitor on a clip and compare with the clean frames.

    ``old`` is its row on file, whose setting is taken; without it the search begins at the
    competitor's setting in ``hints``, rows of the same kind of noise on other clips.
    """
    setting: dict[str, Any] = {}
    tried = 0
    if competitor == "noisy":
        frames, seconds = clips.decode(clip.noisy, clip.layout), 0.0
    elif competitor in OURS:
        frames, seconds = _ours(clip, OURS[competitor])
    else:
        peer = PEERS[competitor]
        if old is None:
            begin = next((r["setting"] for r in hints if r["competitor"] == competitor), None)
            setting, tried = best_setting(peer, clip, begin)
        else:
            setting, tried = old["setting"], old["tried"]
        frames, seconds = timed(peer, clip, setting)
    clean = clip.reference
    return {
        "clip": clip.name,
        "kind": clip.kind,
        "competitor": competitor,
        "frames": clip.frames,
        "size": list(clip.size),
        "setting": setting,
        "tried": tried,
        **results.scores(clean, frames),
        "seconds": round(seconds, 2),
    }


def _ours(clip: Clip, options: tuple[str, ...]) -> tuple[Tensor, float]:
    """The installed command as a user would call it; only the encoder is lossless."""
    output = clip.noisy.with_name("vdenoise.mkv")
    command = [sys.executable, "-m", "vdenoise", "run", str(clip.noisy), "-o", str(output)]
    command += ["--codec", "ffv1", "--overwrite", *options]
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return clips.decode(output, clip.layout), seconds


def _arguments() -> argparse.Namespace:
    everyone = ["noisy", *OURS, *PEERS]

    def listed(allowed: list[str]) -> Any:
        def parse(text: str) -> list[str]:
            words = text.split(",")
            if unknown := [w for w in words if w not in allowed]:
                raise argparse.ArgumentTypeError(f"{unknown[0]}: choose from {', '.join(allowed)}")
            return words

        return parse

    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the clean clips")
    parser.add_argument("--clips", type=listed(list(clips.CLEAN)), default=list(clips.CLEAN))
    parser.add_argument("--kinds", type=listed(list(clips.KINDS)), default=list(clips.KINDS))
    parser.add_argument("--competitors", type=listed(everyone), default=everyone)
    parser.add_argument("--frames", type=int, default=24, help="first frames of each clip")
    parser.add_argument("--keep-settings", action="store_true", help="peers: no new search")
    parser.add_argument("--missing", action="store_true", help="only rows that are not on file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
