"""``run --report`` and ``batch --report``: pages that hold everything, and say it safely."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import av
import pytest

from tests.helpers.browser import CHROMIUM, Page, browser
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.picture.noise import PlaneNoise
from vdenoise.review.gates import GATES
from vdenoise.review.report.charts import _levels, _spectrum
from vdenoise.review.report.html import as_data, render
from vdenoise.review.report.index import IndexRow
from vdenoise.review.report.plots import Plot, PlotLine, thinned, ticks
from vdenoise.review.report.summary import report_path, summary_in

QUICK = ("--speed", "veryfast", "--progress", "none", "--sigma", "9")
FAST = (*QUICK, "--device", "cpu")
HOSTILE = "a<script>alert(1)<b>\"x' onerror=alert(2) &amp;.mkv"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with a name that a page must not take for its own, its result and the report."""
    place = tmp_path_factory.mktemp("report")
    source = write(Clip("in.mkv", codec="ffv1", size=(96, 64), frames=6), place)
    source.rename(place / HOSTILE)
    arguments = ["run", str(place / HOSTILE), str(place / "clean.mkv"), *FAST, "--report"]
    assert cli.status([*arguments, "--temporal-radius", "1"]) == 0
    return place


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / "clean.mkv.html").read_text(encoding="utf-8")


def test_names_are_text_and_nothing_is_fetched(html: str) -> None:
    assert "<script>alert" not in html and "<b>" not in html.split("<main>")[0]
    assert "a&lt;script&gt;alert(1)&lt;b&gt;" in html
    addresses = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert all(address.startswith("data:") for address in addresses)
    assert "default-src &#39;none&#39;" in html and "http://" not in html and "https://" not in html
    assert len(re.findall(r"<script>", html)) == 1


def test_it_says_what_was_done(html: str) -> None:
    for word in ("Noise against brightness", "Noise against frequency", "Frame by frame"):
        assert word in html
    for gate in ("structure", "ghosting", "flicker", "banding", "color", "clipping", "cuts"):
        assert f'<th scope="row">{gate}</th>' in html
    assert '<th scope="row">temporal.radius</th><td>1</td><td>command line</td>' in html
    spots = json.loads(html.split('id="spots">')[1].split("</script>")[0])
    places = [(spot["why"], spot["place"]) for spot in spots]
    assert any("first frame" in why and place.startswith("frame 0,") for why, place in places)
    assert any("last frame" in why and place.startswith("frame 5,") for why, place in places)
    assert html.count('role="img"') >= 8  # each curve has its words
    for label in re.findall(r'role="img" aria-label="([^"]*)"', html):
        assert len(label) > 20


def test_the_frames_are_decoded_once_for_the_report(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more files are opened than without one, and the frames are the same to the bit."""
    opened: list[str] = []
    real = av.open

    def counted(*args: object, **values: object) -> object:
        opened.append(str(args[0]))
        return real(*args, **values)  # type: ignore[call-overload]

    monkeypatch.setattr(av, "open", counted)
    counts = []
    for name, more in (("plain", ()), ("told", ("--report",))):
        opened.clear()
        target = tmp_path / f"{name}.mkv"
        assert cli.status(["run", str(folder / HOSTILE), str(target), *FAST, *more]) == 0
        counts.append(len(opened))
    assert counts[0] == counts[1]
    first, second = (
        json.loads((tmp_path / f"{name}.mkv.vdenoise.json").read_text(encoding="utf-8"))
        for name in ("plain", "told")
    )
    assert first["result"]["frames_crc32"] == second["result"]["frames_crc32"]


def test_a_report_that_is_there_is_kept(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "clean.mkv"
    page = report_path(target)
    page.write_text("mine", encoding="utf-8")
    assert cli.status(["run", str(folder / HOSTILE), str(target), *FAST, "--report"]) == 4
    assert "clean.mkv.html exists already" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == "mine" and not target.exists()
    assert cli.status(["run", str(folder / HOSTILE), "-o", "-", *FAST, "--report"]) == 2
    beside = ["run", str(folder / HOSTILE), str(target), "--noise-out", str(page)]
    assert cli.status([*beside, *FAST, "--report", "--overwrite"]) == 2


def test_long_names_have_a_report_of_their_own() -> None:
    one, two = (report_path(Path("x" * 249 + end)) for end in ("a.mov", "b.mov"))
    assert one != two and len(one.name) <= 255


def test_a_summary_is_read_from_the_page_and_from_nothing_else(
    folder: Path, tmp_path: Path
) -> None:
    found = summary_in(folder / "clean.mkv.html")
    assert found is not None and found.frames == 6 and found.noise == pytest.approx(9, abs=0.1)
    other = tmp_path / "other.html"
    other.write_text('<script type="application/json" id="summary">{"frames": 1}</script>')
    assert summary_in(other) is None and summary_in(tmp_path / "none.html") is None


def test_where_a_gate_fails_is_shown_first_and_framed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the picture that stands for the clip on the page of a batch is of that place."""
    monkeypatch.setitem(GATES, "structure", replace(GATES["structure"], limit=1.0))
    source = write(Clip("in.mkv", codec="ffv1", size=(840, 480), frames=3), tmp_path)
    target = tmp_path / "clean.mkv"
    strong = ("--sigma", "100", "--guards", "none", "--temporal", "none")
    assert cli.status(["run", str(source), str(target), *FAST, "--report", *strong]) == 0
    text = report_path(target).read_text(encoding="utf-8")
    spots = json.loads(text.split('id="spots">')[1].split("</script>")[0])
    assert spots[0]["why"].startswith("structure failed: ")
    assert "at most 1" in spots[0]["why"]
    assert not any("failed" in spot["why"] for spot in spots[1:])
    found = summary_in(report_path(target))
    assert found is not None and found.place in spots[0]["place"]
    left, top, width, height = spots[0]["mark"]
    assert (width, height) == (64, 64)
    assert 0 <= left <= spots[0]["width"] - 64 and 0 <= top <= spots[0]["height"] - 64


def test_a_batch_has_an_index_with_the_worst_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shots = tmp_path / "shots"
    shots.mkdir()
    for name in ("one.mkv", "two<img src=x>.mkv"):
        write(Clip("in.mkv", codec="ffv1", size=(64, 48), frames=2), shots).rename(shots / name)
    target = tmp_path / "out"
    args = ["batch", str(shots), "-o", str(target), *QUICK, "--report"]
    assert cli.status(args) == 0
    page = (target / "vdenoise-batch.html").read_text(encoding="utf-8")
    assert f"<span>from</span> {shots}</p>" in page and f"{shots}/one" not in page
    assert "<img src=x>" not in page and "two&lt;img src=x&gt;.mkv" in page
    links = re.findall(r'href="([^"]*)"', page)
    assert "one_dn.mkv.html" in links and "two%3Cimg%20src%3Dx%3E_dn.mkv.html" in links
    assert "Not done" not in page
    worst = [float(v) for v in re.findall(r'data-value="([\d.]+)" class="(?:good|bad)"', page)]
    assert len(worst) == 2 and worst == sorted(worst, reverse=True)
    assert page.count("data:image/webp;base64,") == 2
    # What is no report is not written over, and no stale report is shown.
    (target / "one_dn.mkv").unlink()
    (target / "one_dn.mkv.html").write_text("mine", encoding="utf-8")
    capsys.readouterr()
    assert cli.status(args) == 10
    assert "is no report" in capsys.readouterr().err
    assert cli.status([*args, "--keep-going"]) == 8
    page = (target / "vdenoise-batch.html").read_text(encoding="utf-8")
    assert re.search(r'aria-label="Not done">\s*<ul>\s*<li><b>one.mkv</b> conflict: ', page)
    assert (target / "one_dn.mkv.html").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("clip", "more"),
    [
        (Clip("still.mkv", codec="ffv1", size=(40, 16), frames=1), ()),
        (Clip("fields.mkv", codec="ffv1", size=(96, 64), frames=3, field_order="tff"), ()),
        (Clip("turned.mov", size=(96, 64), frames=3, rotation=90), ()),
        (Clip("off.mkv", codec="ffv1", frames=2), ("--luma", "0", "--chroma", "0")),
    ],
    ids=lambda value: value.name if isinstance(value, Clip) else "",
)
def test_every_kind_of_clip_has_a_report(clip: Clip, more: tuple[str, ...], tmp_path: Path) -> None:
    target = tmp_path / f"clean{Path(clip.name).suffix}"
    args = ["run", str(write(clip, tmp_path)), str(target), *FAST, "--report", *more]
    assert cli.status(args) == 0
    text = report_path(target).read_text(encoding="utf-8")
    spots = json.loads(text.split('id="spots">')[1].split("</script>")[0])
    width, height = clip.size if not clip.rotation else clip.size[::-1]
    assert spots and all((s["width"], s["height"]) == (width, height) for s in spots)


def test_data_cannot_end_its_element() -> None:
    text = as_data({"a": "</script><!--&"})
    assert "<" not in text and json.loads(text) == {"a": "</script><!--&"}


def test_an_axis_of_next_to_no_noise_has_round_numbers() -> None:
    """As of color that holds none: not a mountain of 0.00001 codes."""
    plane = PlaneNoise.white(1e-7)
    for plot in (_levels("Cb", plane, None), _spectrum("Cb", plane, None)):
        assert ">0.4</text>" in plot.svg() and "e-" not in plot.svg()


def test_curves_keep_their_peaks_and_their_letters_are_escaped() -> None:
    points = [(float(n), 1.0) for n in range(5000)]
    points[3333] = (3333.0, 9.0)
    few = thinned(points)
    assert len(few) <= 600 and max(y for _, y in few) == 9
    plot = Plot("<b>", "x", "y", (PlotLine("n", "result", tuple(points)),), '"quoted"')
    assert "<b>" not in plot.svg() and "&lt;b&gt;" in plot.svg() and '""' not in plot.svg()
    assert ticks(0, 10.5) == [0, 2.5, 5, 7.5, 10]
    assert all(tick == int(tick) for tick in ticks(3, 6, whole=True))
    assert render(
        "index.html",
        styles=(),
        scripts=(),
        title="<",
        words="",
        troubled=False,
        rows=[],
        first=[],
        lost=[],
        above="",
    )


@pytest.fixture(scope="module")
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> object:
    if CHROMIUM is None:
        pytest.skip("no chromium")
    with browser(tmp_path_factory.mktemp("browser")) as found:
        found.window(1440, 900)
        found.open((folder / "clean.mkv.html").as_uri())
        yield found


def test_nothing_is_fetched_and_no_script_fails(page: Page) -> None:
    assert page.js("document.querySelectorAll('#strip button').length") >= 2
    assert [r for r in page.requests if not r.startswith(("file:", "data:"))] == []
    assert page.errors == []
    broken = "[...document.images].filter(i => i.src && !i.naturalWidth).length"
    assert page.js(broken) == 0
    assert page.js("[...document.querySelectorAll('.pane img')].every(i => i.alt.length > 10)")


def test_the_view_of_what_was_removed_says_what_it_should_look_like(page: Page) -> None:
    shown = "getComputedStyle(document.querySelector('.hint')).display"
    for view, display in (("noise", "block"), ("wipe", "none")):
        page.js(f"document.querySelector('input[name=view][value={view}]').click()")
        assert page.js(shown) == display


def test_the_wipe_moves_by_mouse_and_by_keys(page: Page) -> None:
    clip = "getComputedStyle(document.querySelector('.pane.after')).clipPath"
    page.js("stage.scrollIntoView({block: 'center'})")
    x, y, width, height = page.js(
        "(r => [r.x, r.y, r.width, r.height])(stage.getBoundingClientRect())"
    )
    middle = y + height / 2
    start, end = (x + width / 2, middle), (x + width * 0.25, middle)
    page.drag(start, end, end)
    assert page.js("document.getElementById('wipe').value") == "25"
    assert page.js(clip) == "inset(0px 0px 0px 25%)"
    page.js("document.getElementById('wipe').focus()")
    page.key("ArrowRight")
    assert page.js(clip) == "inset(0px 0px 0px 26%)"
    page.key("Home")
    assert page.js(clip) == "inset(0px 0px 0px 0%)"


def test_an_index_is_sorted_by_its_heads(page: Page, folder: Path, tmp_path: Path) -> None:
    one = summary_in(folder / "clean.mkv.html")
    assert one is not None
    rows = [
        IndexRow(name, "done", "", f"{name}.html", one.model_copy(update={"noise": noise}), 0.0)
        for name, noise in (("b", 9.5), ("c", 11.0), ("a", 2.0))
    ]
    target = tmp_path / "index.html"
    text = render(
        "index.html",
        styles=("page.css",),
        scripts=("index.js",),
        title="index",
        words="",
        troubled=False,
        rows=rows,
        first=rows[:2],
        lost=[],
        above="",
    )
    target.write_text(text, encoding="utf-8")
    before = page.js("location.href")
    page.open(target.as_uri())
    worst = "[...document.querySelectorAll('.worst li')].map(t => t.innerText)"
    assert one.place and all(one.place in text and one.gate in text for text in page.js(worst))
    names = "[...document.querySelectorAll('tbody th')].map(t => t.textContent).join('')"
    heads = "document.querySelectorAll('thead button')"
    for column, order in ((0, "abc"), (0, "cba"), (2, "cba"), (2, "abc")):
        page.js(f"{heads}[{column}].focus()")
        page.key(" ")
        assert page.js(names) == order
    assert page.js("document.querySelectorAll('[aria-sort]').length") == 1
    assert page.errors == []
    cells = "[...document.querySelectorAll('#clips td, #clips th')]"
    right = f"{cells}.map(cell => cell.getBoundingClientRect().right)"
    page.window(390, 844)
    assert max(page.js(right)) <= 390  # nothing lies beyond the edge of a phone
    page.window(1440, 900)
    page.open(before)


def test_what_a_gate_found_is_framed_at_its_place_at_each_zoom(page: Page) -> None:
    page.js("viewer.mark = [24, 16, 32, 20]")
    box = (
        "(r => [r.x, r.y, r.width, r.height])(document.querySelector('{}').getBoundingClientRect())"
    )
    for zoom in ("fit", "2", "4"):
        page.js(f"viewer.scale('{zoom}')")
        left, top, width, height = page.js(box.format(".pane .source"))
        x, y, across, down = page.js(box.format(".mark"))
        factor = width / 96
        assert (across, down) == pytest.approx((32 * factor, 20 * factor), abs=4.5)
        assert (x - left, y - top) == pytest.approx((24 * factor, 16 * factor), abs=1.5)
        assert height / 64 == pytest.approx(factor)
    page.js("choose(0); viewer.scale('fit')")
    assert page.js("document.querySelector('.mark').hidden")  # nothing was framed in this report


def test_zoom_and_pan_stay_in_step(page: Page) -> None:
    placed = "[...document.querySelectorAll('.pane img')].map(i => i.style.transform)"
    page.js("stage.focus()")
    seen = set()
    for key in ("s", "+", "+", "+", "ArrowRight", "ArrowDown"):
        page.key(key)
        transforms = page.js(placed)
        assert len(set(transforms)) == 1, (key, transforms)
        seen.add(transforms[0])
    assert page.js("document.querySelector('input[name=zoom]:checked').value") == "4"
    assert "scale(4)" in transforms[0] and len(seen) >= 4
    page.key("n")
    shown = "[...document.querySelectorAll('.pane')].map(p => getComputedStyle(p).display)"
    assert page.js(shown) == ["none", "none", "block"]
    page.key("w")


def test_wipe_and_zoomed_picture_follow_a_finger(page: Page) -> None:
    page.window(390, 844)
    page.js("viewer.look('wipe'); viewer.scale('fit'); viewer.wipe(50)")
    page.js("stage.scrollIntoView({block: 'center'})")
    x, y, width, height = page.js(
        "(r => [r.x, r.y, r.width, r.height])(stage.getBoundingClientRect())"
    )

    def at(across: float, down: float) -> tuple[float, float]:
        return x + width * across, y + height * down

    page.touch(at(0.5, 0.5), at(0.6, 0.5), at(0.7, 0.5), at(0.75, 0.5))
    assert abs(float(page.js("document.getElementById('wipe').value")) - 75) <= 1
    page.js("viewer.scale('4')")
    placed = "[...document.querySelectorAll('.pane img')].map(i => i.style.transform)"
    before = page.js(placed)
    page.touch(at(0.4, 0.6), at(0.35, 0.5), at(0.3, 0.4))
    after = page.js(placed)
    assert len(set(after)) == 1 and after != before
    assert abs(float(page.js("document.getElementById('wipe').value")) - 75) <= 1
    assert page.errors == []
    page.window(1440, 900)
