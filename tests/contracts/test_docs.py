"""The generated pages are current."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks import clipping, masks, results
from benchmarks.finishing import order_table
from benchmarks.grain import PARTS, grain_table
from vdenoise.chain.docs import stages_page
from vdenoise.chain.parameters import parameters
from vdenoise.media.page import media_page
from vdenoise.stages import STAGES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "stages.md"


def test_stages_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == stages_page(), "run: python -m vdenoise.chain.docs"


def test_media_page_is_current() -> None:
    page = PAGE.with_name("media.md").read_text(encoding="utf-8")
    assert page == media_page(), "run: python -m vdenoise.media.page"


def test_stages_page_names_every_stage_and_parameter() -> None:
    text = stages_page()
    for name in STAGES:
        section = text.partition(f"### {name}\n")[2].partition("\n### ")[0]
        assert section, name
        for key, parameter in parameters(name).items():
            assert f"| `{key}` | " in section and parameter.help in section


def test_the_tests_that_pages_name_are_there() -> None:
    named = 0
    for page in PAGE.parent.rglob("*.md"):
        for file, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text("utf-8")):
            text = (PAGE.parents[1] / file).read_text("utf-8")
            assert f"\ndef {test}(" in text, f"{page.name}: {file}::{test}"
            named += 1
    assert named > 40


def test_finishing_page_shows_the_results_on_file() -> None:
    page = PAGE.with_name("finishing.md").read_text(encoding="utf-8")
    assert order_table() in page, "run: python -m benchmarks.finishing"
    assert all(grain_table(part) in page for part in PARTS), "run: python -m benchmarks.grain"
    assert clipping.table() in page, "run: python -m benchmarks.clipping"


def test_masks_page_shows_the_results_on_file() -> None:
    rows = results.load(masks.RESULTS)["rows"]
    page = PAGE.with_name("masks.md").read_text(encoding="utf-8")
    assert masks.table(rows) in page, "run: python -m benchmarks.masks"


def test_no_mask_makes_the_picture_flicker() -> None:
    """Every kind, inside and protected, next to the same mask standing still."""
    rows = results.load(masks.RESULTS)["rows"]
    cases = {(row["mask"], row["noise"]) for row in rows}
    assert len(cases) == len(masks.MASKS) * len(masks.NOISES)
    for case in cases:
        own = [row for row in rows if (row["mask"], row["noise"]) == case]
        assert len(own) == 3, case
        assert all(masks.excess(own, mode) < 3 for mode in masks.MODES), case
