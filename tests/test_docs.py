"""The generated pages are current."""

from __future__ import annotations

from pathlib import Path

from benchmarks import clipping
from benchmarks.finishing import order_table
from vdenoise.docs import stages_page
from vdenoise.parameters import parameters
from vdenoise.stages import STAGES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "stages.md"


def test_stages_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == stages_page(), "run: python -m vdenoise.docs"


def test_stages_page_names_every_stage_and_parameter() -> None:
    text = stages_page()
    for name in STAGES:
        section = text.partition(f"### {name}\n")[2].partition("\n### ")[0]
        assert section, name
        for parameter in parameters(name):
            assert f"| `{parameter.name}` | " in section and parameter.help in section


def test_finishing_page_shows_the_results_on_file() -> None:
    page = PAGE.with_name("finishing.md").read_text(encoding="utf-8")
    assert order_table() in page, "run: python -m benchmarks.finishing"
    assert clipping.table() in page, "run: python -m benchmarks.clipping"
