"""The page of ``vdenoise tune`` as Chromium shows it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.browser import CHROMIUM, Page, browser
from vdenoise.review.tune.server import Server

LOOKED = "document.getElementById('stage').getAttribute('aria-busy') === 'false'"


@pytest.fixture(scope="module")
def page(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no chromium")
    with browser(tmp_path_factory.mktemp("browser")) as found:
        found.window(1440, 1000)
        found.open(server.address)
        wait(found, LOOKED)
        yield found
        assert found.errors == []


def wait(page: Page, expression: str) -> Any:
    for _ in range(1200):
        found = page.js(expression)
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"never: {expression}")


def changed(page: Page) -> None:
    """Wait until what was just changed is on the screen."""
    wait(page, LOOKED)


def middle(page: Page, selector: str) -> tuple[float, float]:
    page.js(f"document.querySelector('{selector}').scrollIntoView({{block: 'center'}})")
    box = f"(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector('{selector}')"
    x, y = page.js(f"{box}.getBoundingClientRect())")
    return x, y


def result(page: Page) -> str:
    found: str = page.js("document.querySelector('.pane .result').src")
    return found


def command(page: Page) -> str:
    found: str = page.js("document.getElementById('command').textContent")
    return found


def test_it_opens_complete_and_asks_nobody_else(page: Page, server: Server) -> None:
    others = [r for r in page.requests if not r.startswith(("data:", server.address))]
    assert others == [] and page.errors == []
    assert page.js("document.querySelectorAll('#strip button').length") >= 2
    assert page.js("[...document.images].every(i => !i.src || i.naturalWidth > 0)")
    assert page.js("[...document.querySelectorAll('.pane img')].every(i => i.alt.length > 10)")
    unnamed = (
        "[...document.querySelectorAll('input,select,button')].filter(i => !(i.labels?.length || "
        "i.ariaLabel || i.textContent.trim())).map(i => i.outerHTML)"
    )
    assert page.js(unnamed) == []


def test_dials_turn_by_mouse_and_by_keys(page: Page) -> None:
    first = result(page)
    x, y = middle(page, "#c-output-luma")
    page.drag((x, y), (x, y), (x, y))
    changed(page)
    assert page.js("document.getElementById('c-output-luma').value") in ("49", "50", "51")
    assert "--luma 5" in command(page) or "--luma 49" in command(page)
    by_mouse = result(page)
    page.js("document.getElementById('c-output-luma').focus()")
    page.key("Home")
    changed(page)
    assert " --luma 0" in command(page) and len({first, by_mouse, result(page)}) == 3
    page.js("document.querySelector('[aria-label=\"Reset luma\"]').click()")
    changed(page)
    assert "--luma" not in command(page) and result(page) == first


def test_stages_are_switched(page: Page) -> None:
    first = result(page)
    page.js("document.querySelector('[data-slot=temporal]').click()")
    changed(page)
    assert "--temporal none" in command(page) and result(page) != first
    page.js("document.querySelector('[data-slot=temporal]').click()")
    page.js("document.querySelector('[data-slot=sharpen]').click()")
    changed(page)
    assert "--temporal none" not in command(page) and "sharpen.method=cas" in command(page)
    assert page.js("document.querySelector('[data-slot=sharpen]').ariaPressed") == "true"
    page.js("document.querySelector('[data-slot=sharpen]').click()")
    changed(page)
    assert "sharpen" not in command(page)


def test_two_settings_stand_against_each_other_at_one_zoom(page: Page) -> None:
    a = result(page)
    page.js("document.querySelector('input[value=b]').click()")
    page.js("preset.value = 'high-iso'; preset.dispatchEvent(new Event('change'))")
    page.js("document.getElementById('versus').click()")
    changed(page)
    assert page.js("document.querySelector('.pane .source').src") == a and result(page) != a
    assert "--preset high-iso" in command(page)
    page.js("stage.focus()")
    for key in ("+", "+", "+"):
        page.key(key)
    places = page.js("[...document.querySelectorAll('.pane img')].map(i => i.style.transform)")
    assert len(set(places)) == 1 and "scale(4)" in places[0]
    page.js("document.getElementById('versus').click()")
    page.js("document.querySelector('input[value=a]').click()")
    changed(page)
    assert "--preset auto" in command(page) and result(page) == a


def test_a_part_is_chosen_by_dragging_and_by_keys(page: Page) -> None:
    x, y = middle(page, "#overview")
    page.drag((x, y), (x + 200, y + 120), (x + 200, y + 120))
    changed(page)
    by_mouse = page.js("document.getElementById('region').textContent")
    assert "96x64" not in by_mouse
    page.js("document.getElementById('overview').focus()")
    page.key("ArrowLeft")
    changed(page)
    assert page.js("document.getElementById('region').textContent") != by_mouse
    size = page.js("[viewer.size.width, viewer.size.height].join('x')")
    assert page.js("document.getElementById('region').textContent").endswith(size)


def test_what_is_found_is_saved(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VDENOISE_PRESETS", str(tmp_path))
    page.js("document.getElementById('name').value = 'by-eye'")
    page.js("document.getElementById('save').requestSubmit()")
    wait(page, "document.getElementById('saved').textContent.startsWith('Saved')")
    assert "radius = 1" in (tmp_path / "by-eye.toml").read_text()


def test_the_stage_is_no_taller_than_its_picture(page: Page) -> None:
    page.window(1000, 1400)
    width, height = page.js(
        "(r => [r.width, r.height])(document.getElementById('stage').getBoundingClientRect())"
    )
    shape = page.js("viewer.size.height / viewer.size.width")
    assert height == pytest.approx(min(width * shape, 620), abs=1)
    page.window(1440, 1000)


def test_it_fits_a_phone(page: Page) -> None:
    page.window(390, 844, dark=True)
    assert page.js("document.documentElement.scrollWidth") == 390
    rows = (
        "new Set([...document.querySelectorAll('[name=view]')].map(v => v.offsetParent.offsetTop))"
    )
    assert page.js(f"{rows}.size") == 1  # all views stand in one row
    heights = "[...document.querySelectorAll('.pair label')].map(l => l.offsetHeight)"
    assert max(page.js(heights)) < 30  # a line each
    page.js("document.getElementById('command').scrollIntoView()")
    top = "document.getElementById('stage').getBoundingClientRect().top"
    assert 0 <= page.js(top) < 60  # the picture stays in sight
