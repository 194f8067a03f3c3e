"""Result files: their schema, merging, and the pages made from them."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
import torch
from torch import Tensor

from vdenoise.evaluation.metrics import flicker, luma, ssim
from vdenoise.picture.quality import psnr
from vdenoise.settings.text import counted

SCHEMA = 1
FOLDER = Path(__file__).with_name("results")
QUALITY = FOLDER / "quality.json"
SPEED = FOLDER / "speed.json"
NETWORKS = FOLDER / "networks.json"
COMBINATION = FOLDER / "combination.json"
PRESETS = FOLDER / "presets.json"
PAGE = Path(__file__).parents[1] / "docs" / "quality.md"

OURS = "vdenoise"
FFMPEG = (
    "hqdn3d",
    "nlmeans",
    "atadenoise",
    "atadenoise+nlmeans",
    "fftdnoiz",
    "vaguedenoiser",
    "bm3d",
)
FFMPEG_ALL = (*FFMPEG, "dctdnoiz")  # the last is seldom used on video: it works in RGB24
ORDER = (
    "noisy",
    OURS,
    "vdenoise --speed fast",
    *FFMPEG_ALL,
    "mc_degrain",
    "mc_degrain+BM3D",
    "mc_degrain+V-BM3D",
)
LEADERS = ("nlmeans", "fftdnoiz", "bm3d", "dctdnoiz", "mc_degrain+BM3D", "mc_degrain+V-BM3D")
KINDS = ("gaussian-10", "gaussian-20", "gaussian-40", "sensor", "film", "compressed")

Row = dict[str, Any]
Key = tuple[str, ...]


def load(path: Path) -> dict[str, Any]:
    """A result file, empty where there is none."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a result file so that a diff shows one line per row."""
    path.parent.mkdir(exist_ok=True)
    rows = content["rows"]
    head = json.dumps({k: v for k, v in content.items() if k != "rows"}, indent=1)
    body = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    fresh = path.with_suffix(".new")  # whoever reads meanwhile finds a whole file
    fresh.write_text(f'{head[:-2]},\n "rows": [\n{body}\n ]\n}}\n')
    fresh.replace(path)


def known(path: Path, key: Callable[[Row], Key]) -> dict[Key, Row]:
    """The rows on file now, by what makes a row the same row."""
    return {key(row): row for row in load(path).get("rows", [])}


def merge(path: Path, row: Row, key: Callable[[Row], Key], seed: int) -> None:
    """Put a row in the place of its old one, or among the others."""
    rows = known(path, key) | {key(row): row}
    content = {"schema": SCHEMA, "machine": machine(), "seed": seed}
    save(path, content | {"rows": [rows[name] for name in sorted(rows)]})


def key(row: Row) -> tuple[str, str, str]:
    """What makes a quality row the same row."""
    return row["clip"], row["kind"], row["competitor"]


def order(row: Row) -> tuple[str, int, int]:
    """Clips by name, kinds and competitors as listed above."""
    return row["clip"], KINDS.index(row["kind"]), ORDER.index(row["competitor"])


def line(row: Row) -> str:
    """A row for the eye."""
    return (
        f"{row['clip']:<11}{row['kind']:<12}{row['competitor']:<22}{row['psnr']:6.2f} dB "
        f"{row['psnr_y']:6.2f} dB  SSIM {row['ssim']:.4f}  flicker {row['flicker']:5.2f}  "
        f"{row['seconds']:6.1f} s  {row['setting'] or ''}"
    )


def machine() -> dict[str, Any]:
    """Where the numbers were taken."""
    info = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((x.split(":")[1].strip() for x in info if x.startswith("model name")), "unknown")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pyav": av.__version__,
        "commit": commit.stdout.strip(),
    }


def scores(clean: Tensor, rgb: Tensor) -> dict[str, float | None]:
    """What every row says of a result (T, 3, H, W): PSNR in dB over R'G'B' and of luma, SSIM, and
    flicker in 8-bit codes, None for a still."""
    return {
        "psnr": round(psnr(clean, rgb), 3),
        "psnr_y": round(psnr(luma(clean), luma(rgb)), 3),
        "ssim": round(ssim(clean, rgb), 4),
        "flicker": round(flicker(clean, rgb), 3) if len(clean) > 1 else None,
    }


def write_between(page: Path, name: str, text: str) -> None:
    """Put a text between the marks of this name in a page."""
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    head, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, tail = rest.partition(end)
    page.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8")


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean."""
    found = list(values)
    return sum(found) / len(found)


def write_quality_page() -> None:
    """Make ``docs/quality.md`` from the result files."""
    PAGE.write_text(quality_page(*map(load, (QUALITY, SPEED, NETWORKS, COMBINATION))))


def quality_page(
    quality: dict[str, Any],
    speed: dict[str, Any],
    networks: dict[str, Any],
    combination: dict[str, Any],
) -> str:
    """Markdown: the summary, a table for each kind of noise, the parts of the chain, networks,
    speed, and where it was measured."""
    rows: list[Row] = quality["rows"]
    kinds = [k for k in KINDS if any(r["kind"] == k for r in rows)]
    where = quality["machine"]
    parts = [
        "# Quality and speed, measured",
        "<!-- Made by `python -m benchmarks.results` from benchmarks/results/*.json. -->",
        "How it was measured, and what is unfair to whom: `benchmarks/README.md`. vdenoise runs "
        "its defaults from its own measurement; every peer is at the best of a search against "
        "the clean clip. PSNR and SSIM over R'G'B', flicker in 8-bit codes (lower is steadier); "
        "means over the clips.",
        "## In short",
        _summary(rows, kinds),
    ]
    parts += [f"## {kind}\n\n{_table([r for r in rows if r['kind'] == kind])}" for kind in kinds]
    if combination:
        parts += ["## What combining is worth", combination_section(combination["rows"])]
    if networks:
        parts += ["## Networks", networks_section(networks["rows"])]
    if speed:
        parts += ["## Speed and memory", _speed_table(speed)]
    parts += [
        "## Where",
        f"{where['cores']} cores of {where['cpu']}, {where['memory_gib']} GiB; Python "
        f"{where['python']}, torch {where['torch']}, PyAV {where['pyav']}, ffmpeg program "
        f"{where['ffmpeg']}, {where.get('vapoursynth', 'no VapourSynth')}; vdenoise commit "
        f"{where['commit']}; noise seed {quality['seed']}.",
    ]
    return "\n\n".join(parts) + "\n"


def gains(rows: list[Row], peers: tuple[str, ...]) -> dict[tuple[str, str], float]:
    """For each clip and kind: our PSNR less that of the best of ``peers`` there.

    Left out where a peer that leads elsewhere was not run: the best of the rest is no best.
    """
    table = {key(r): r["psnr"] for r in rows}
    found = {}
    for clip, kind in sorted({(r["clip"], r["kind"]) for r in rows if r["competitor"] == OURS}):
        others = [table[clip, kind, p] for p in peers if (clip, kind, p) in table]
        needed = [p for p in peers if p in LEADERS]
        if others and all((clip, kind, p) in table for p in needed):
            found[clip, kind] = table[clip, kind, OURS] - max(others)
    return found


def _summary(rows: list[Row], kinds: list[str]) -> str:
    """Means of PSNR by kind; competitors that miss a clip or a kind are left out."""
    head = f"| PSNR, dB | {' | '.join(kinds)} | mean |\n|---|{'---:|' * (len(kinds) + 1)}"
    lines = [head]
    pairs = {key(r)[:2] for r in rows}
    for competitor in ORDER:
        own = [r for r in rows if r["competitor"] == competitor]
        if {key(r)[:2] for r in own} != pairs:
            continue
        values = [mean(r["psnr"] for r in own if r["kind"] == kind) for kind in kinds]
        cells = [f"{v:.2f}" for v in [*values, mean(values)]]
        if competitor == OURS:
            cells = [f"**{c}**" for c in cells]
        lines.append(f"| {competitor} | {' | '.join(cells)} |")
    for label, peers in (
        ("the best of FFmpeg's video denoisers on each clip", FFMPEG),
        ("the best of these and dctdnoiz", FFMPEG_ALL),
        ("mc_degrain + BM3D", ("mc_degrain+BM3D",)),
        ("mc_degrain + V-BM3D", ("mc_degrain+V-BM3D",)),
    ):
        found = gains(rows, peers)
        if {kind for _, kind in found} == set(kinds):
            each = [mean(v for (_, k), v in found.items() if k == kind) for kind in kinds]
            cells = [f"{v:+.2f}" for v in [*each, mean(found.values())]]
            lines.append(f"| *vdenoise less {label}* | {' | '.join(cells)} |")
    return "\n".join(lines)


def _table(rows: list[Row]) -> str:
    """All measures; a competitor that ran on some clips only says on which."""
    lines = ["| | PSNR | PSNR Y | SSIM | flicker | frames/s |", "|---|---:|---:|---:|---:|---:|"]
    everything = {r["clip"] for r in rows}
    for competitor in ORDER:
        own = [r for r in rows if r["competitor"] == competitor]
        if not own:
            continue
        seen = {r["clip"] for r in own}
        where = "" if seen == everything else f" ({', '.join(sorted(seen))} only)"
        seconds = sum(r["seconds"] for r in own)
        speed = f"{sum(r['frames'] for r in own) / seconds:.1f}" if seconds else ""
        cells = [f"{mean(r[name] for r in own):.2f}" for name in ("psnr", "psnr_y")]
        cells += [f"{mean(r['ssim'] for r in own):.3f}", f"{mean(r['flicker'] for r in own):.2f}"]
        lines.append(f"| {competitor}{where} | {' | '.join([*cells, speed])} |")
    return "\n".join(lines)


def networks_section(rows: list[Row]) -> str:
    """What `benchmarks.networks` measured, part by part."""
    parts = {
        name: [r for r in rows if r["part"] == name]
        for name in dict.fromkeys(r["part"] for r in rows)
    }
    texts = []
    if found := parts.get("gaussian"):
        texts += [
            "PSNR over R'G'B' in dB, white noise of so many codes clipped to 8 bits, noise "
            "measured as in a run. VapourSynth's chain is at the best setting found against the "
            'clean clip. "12 min": trained here from nothing, each for twelve minutes of one '
            'core (docs/decisions/networks.md). "4 views": the mean of what the network answers to '
            "so many mirrored and turned views (`net.ensemble`).",
            _by_noise(found, "psnr", 2),
            "Flicker at 30 codes, with and without the temporal stage:",
            _by_noise([r for r in found if r["noise"] == "gaussian:30"], "flicker", 2),
        ]
    if found := parts.get("real"):
        texts += [
            "Noise of cameras, film and codecs in 4:2:0: the same chain with the measured profile "
            "and told the best single sigma of those tried.",
            _by_noise(found, "psnr", 2),
            "Structure in what was removed (correlation with the clean picture's detail; 0 is "
            "none):",
            _by_noise([r for r in found if r["told"] == "measured"], "structure", 3),
        ]
    if found := parts.get("clean"):
        texts += [
            "Change of clean clips, RMS in 8-bit codes: `scene` is drawn, and stills set in motion "
            "at half their size have no noise; what noise and compression the others have "
            "themselves is in it:",
            _by_clip(found, "change", 2),
        ]
    if found := parts.get("precision"):
        texts += ["Precision of the network, white noise of 20 codes:", _by_noise(found, "psnr", 3)]
    if found := parts.get("speed"):
        texts += [
            "The network alone at 1080p; the roof is a 3x3 convolution of 64 channels as torch has "
            "it, which ours by rows can exceed:",
            _networks_speed(found),
        ]
    return "\n\n".join(texts)


def combination_section(rows: list[Row]) -> str:
    """What `benchmarks.combination` measured: for each speed PSNR and flicker of every set of
    parts, and what all together have over the best single one."""
    names = sorted({r["clip"] for r in rows})
    texts = [
        "Temporal stage, spatial stage and network alone, in pairs and together: PSNR in dB, and "
        f"flicker in 8-bit codes, means over {', '.join(names)}. The last line is what the whole "
        "chain has over the best of its parts alone, worst clip.",
        "![Noisy, each part alone, all together, clean; camera noise, 200 %](combination.png)",
    ]
    for speed in dict.fromkeys(r["speed"] for r in rows):
        mine = [r for r in rows if r["speed"] == speed]
        texts += [f"`--speed {speed}`:", _combined(mine)]
    return "\n\n".join(texts)


def _combined(rows: list[Row]) -> str:
    noises = list(dict.fromkeys(r["noise"] for r in rows))
    labels = sorted({r["parts"] for r in rows}, key=lambda text: (text.count("+"), text))
    lines = [f"| | {' | '.join(noises)} |", f"|---|{'---:|' * len(noises)}"]
    for parts in labels:
        cells = []
        for noise in noises:
            own = [r for r in rows if (r["parts"], r["noise"]) == (parts, noise)]
            cells.append(
                f"{mean(r['psnr'] for r in own):.2f} ({mean(r['flicker'] for r in own):.2f})"
            )
        lines.append(f"| {parts} | {' | '.join(cells)} |")
    cells = []
    for noise in noises:
        leads = [combination_lead([r for r in rows if (r["noise"], r["clip"]) == (noise, clip)])
                 for clip in {r["clip"] for r in rows}]  # fmt: skip
        cells.append(f"{min(d for d, _ in leads):+.2f} ({max(f for _, f in leads):+.2f})")
    return "\n".join([*lines, f"| *lead over the best single one* | {' | '.join(cells)} |"])


def combination_lead(rows: list[Row]) -> tuple[float, float]:
    """PSNR (dB, more is better) and flicker (codes, less is better) of all parts together less
    those of the best single one, for rows of one clip, noise and speed."""
    single = [r for r in rows if "+" not in r["parts"]]
    whole = max(rows, key=lambda r: str(r["parts"]).count("+"))
    return (
        whole["psnr"] - max(r["psnr"] for r in single),
        whole["flicker"] - min(r["flicker"] for r in single),
    )


def _by_noise(rows: list[Row], name: str, digits: int) -> str:
    """Means over the clips that all have; a column for each noise."""
    noises = sorted({r["noise"] for r in rows}, key=lambda n: (n.partition(":")[0], _number(n)))
    clip_names = sorted({r["clip"] for r in rows})
    lines = [f"| | {' | '.join(noises)} |", f"|---|{'---:|' * len(noises)}"]
    table = {(r["competitor"], r["told"], r["noise"], r["clip"]): r[name] for r in rows}
    for competitor, told in dict.fromkeys((r["competitor"], r["told"]) for r in rows):
        cells = []
        for noise in noises:
            values = [table.get((competitor, told, noise, clip)) for clip in clip_names]
            whole = [value for value in values if value is not None]
            cells.append(f"{mean(whole):.{digits}f}" if len(whole) == len(values) else "")
        if any(cells):
            label = competitor if told == "measured" else f"{competitor}, {told}"
            lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _by_clip(rows: list[Row], name: str, digits: int) -> str:
    """A column for each clip."""
    clip_names = sorted({r["clip"] for r in rows})
    table = {(r["competitor"], r["clip"]): r[name] for r in rows}
    lines = [f"| | {' | '.join(clip_names)} |", f"|---|{'---:|' * len(clip_names)}"]
    for competitor in dict.fromkeys(r["competitor"] for r in rows):
        values = [table.get((competitor, clip)) for clip in clip_names]
        cells = ["" if value is None else f"{value:.{digits}f}" for value in values]
        lines.append(f"| {competitor} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(noise: str) -> float:
    return float(noise.partition(":")[2] or 0)


def _networks_speed(rows: list[Row]) -> str:
    lines = [
        "| | precision | where | parameters | kMAC a pixel | frames/s | GMAC/s | of the roof |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        where = r["device"] if r["device"] != "cpu" else f"CPU, {counted(r['threads'], 'thread')}"
        share = r["gmacs_per_second"] / r["roof_gmacs_per_second"]
        lines.append(
            f"| {r['competitor']} | {r['told']} | {where} | {r['parameters'] / 1e6:.2f} M "
            f"| {r['kmacs_per_pixel']:.0f} | {r['fps_1080p']:.1f} | {r['gmacs_per_second']:.0f} "
            f"| {share:.0%} |"
        )
    return "\n".join(lines)


def _speed_table(speed: dict[str, Any]) -> str:
    lines = ["| | size | frames | frames/s | peak memory, MB |", "|---|---|---:|---:|---:|"]
    for row in speed["rows"]:
        size = "x".join(map(str, row["size"]))
        lines.append(
            f"| `{row['competitor']}` | {size} | {row['frames']} | {row['fps']:.2f} "
            f"| {row['peak_mb']:.0f} |"
        )
    if speed.get("note"):
        lines += ["", speed["note"]]
    return "\n".join(lines)


if __name__ == "__main__":
    argparse.ArgumentParser(description=write_quality_page.__doc__).parse_args()
    write_quality_page()
