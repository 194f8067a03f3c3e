"""``vdenoise tune`` without a browser: its pixels are the run's, and it answers its page alone."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import shlex
import signal
import socket
import sys
import threading
import time
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.engine.test_run import planes
from tests.helpers.clips import Clip, write
from tests.review.tune.conftest import FAST, Asked, session
from vdenoise import cli
from vdenoise.chain.presets import load
from vdenoise.chain.resolve import Layer, resolve
from vdenoise.cli.chain import CHAIN_OPTIONS
from vdenoise.cli.tune import entries
from vdenoise.engine import denoise as denoising
from vdenoise.engine.tiles import Area
from vdenoise.errors import OutputError, UsageError
from vdenoise.media.probe import probe
from vdenoise.review.display import rgb_float, shown
from vdenoise.review.near_cuts import NearCuts
from vdenoise.review.tune.controls import controls
from vdenoise.review.tune.newest import Newest, Superseded
from vdenoise.review.tune.page import tune_page
from vdenoise.review.tune.server import Server
from vdenoise.review.tune.session import Session
from vdenoise.review.tune.settings import Settings
from vdenoise.review.turning import as_held, as_seen, upright

PLAIN = {"preset": "auto", "speed": "veryfast", "values": {}}
TUNED = {**PLAIN, "values": {"temporal.radius": "2", "output.luma": "70", "sharpen.strength": "1"}}
HERE = {"frame": 3, "left": 16, "top": 8, "width": 48, "height": 40}


@pytest.fixture(autouse=True)
def presets_of_my_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "presets"
    monkeypatch.setenv("VDENOISE_PRESETS", str(folder))
    return folder


def picture(address: str) -> np.ndarray[Any, Any]:
    data = base64.b64decode(address.partition(",")[2])
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found[:, :, ::-1]


def rendered(clip: Path, frame: int) -> np.ndarray[Any, Any]:
    info = probe(clip)
    return shown(rgb_float(planes(clip)[frame], info.format, info))


# -- pixels --------------------------------------------------------------------------------------


def test_what_is_shown_is_what_its_command_line_and_its_preset_write(
    server: Server, asked: Asked, source: Path, tmp_path: Path
) -> None:
    status, look = asked.json("look", {"settings": TUNED, **HERE})
    assert status == 200 and look["box"] == [16, 8, 48, 40] and look["region"] == "16,8,48,40"
    words = server.session.base.command(Settings(**TUNED), tmp_path / "typed.mkv")
    assert cli.status([*words[1:], "--progress", "none"]) == 0
    status, saved = asked.json("save", {"settings": TUNED, "name": "mine"})
    assert status == 200 and Path(saved["path"]).is_file()
    kept = tmp_path / "kept.mkv"
    again = ("--sigma", "9", "--device", "cpu", "--progress", "none", "--preset", "mine")
    assert cli.status(["run", str(source), "-o", str(kept), *again]) == 0
    before, after = picture(look["source"]), picture(look["result"])
    assert np.array_equal(before, rendered(source, 3)[8:48, 16:64])
    assert np.array_equal(after, rendered(tmp_path / "typed.mkv", 3)[8:48, 16:64])
    assert np.array_equal(after, rendered(kept, 3)[8:48, 16:64])
    assert not np.array_equal(before, after)
    assert (
        json.loads((tmp_path / "kept.mkv.vdenoise.json").read_text())["parameters"]
        == (json.loads((tmp_path / "typed.mkv.vdenoise.json").read_text())["parameters"])
    )


def test_no_look_depends_on_those_before(source: Path) -> None:
    """Motion, decoded frames and what stages left are kept; what was kept for other settings, or
    for another part, does no harm."""
    used, box = session(source), (0, 0, 96, 64)
    net, turned = {"net.model": "S"}, {"output.bands": "40,100,100,80", "sharpen.strength": "1"}
    for n, values in enumerate(
        (
            {"temporal.radius": "1", "deblock.strength": "1"},
            {"temporal.radius": "4"},
            net,
            net | turned,
            net | {"output.guards": "color"},
        )
    ):
        some = Settings(**{**PLAIN, "values": values})
        inner = used.look(some, 2, (8, 8, 40 + 2 * n, 48))
        whole = used.look(some, 2, box)
        assert np.array_equal(inner.result, whole.result[8:56, 8 : 48 + 2 * n]), values
        assert np.array_equal(inner.source, whole.source[8:56, 8 : 48 + 2 * n])
        if n in (1, 3):
            assert np.array_equal(whole.result, session(source).look(some, 2, box).result)


def test_only_what_is_turned_is_computed_again(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, worked = session(source), []
    real = denoising.compute_group

    def counted(step: Any, *rest: Any) -> Any:
        worked.append(step.stage.name)
        return real(step, *rest)

    monkeypatch.setattr(denoising, "compute_group", counted)
    for values, again in (
        ({}, ["temporal.mean", "spatial.wiener", "net.cnn"]),
        ({}, []),
        ({"output.luma": "60"}, ["output.settle"]),
        ({"output.luma": "50"}, ["output.settle"]),
        ({"output.luma": "50", "net.strength": "0.5"}, ["net.cnn", "output.settle"]),
    ):
        values = {"net.model": "S", **values}
        made.look(Settings(**{**PLAIN, "values": values}), 3, (0, 0, 96, 64))
        assert worked == again, values
        worked.clear()


def test_a_newer_look_ends_the_older_one(source: Path) -> None:
    made = session(source)
    begun, go_on = threading.Event(), threading.Event()
    frames, ended = made._decoded.frames, []

    def slow(first: int, last: int) -> Any:
        for n, frame in enumerate(frames(first, last)):
            if n == 1 and not begun.is_set():
                begun.set()
                assert go_on.wait(10)
            yield frame

    made._decoded.frames = slow  # type: ignore[method-assign]

    def older() -> None:
        with pytest.raises(Superseded):
            made.look(Settings(**TUNED), 3, (0, 0, 96, 64))
        ended.append(True)

    thread = threading.Thread(target=older)
    thread.start()
    assert begun.wait(10)
    found: list[Any] = []
    newer = threading.Thread(
        target=lambda: found.append(made.look(Settings(**PLAIN), 0, (0, 0, 96, 64)))
    )
    newer.start()
    while made.newest._last < 2:
        time.sleep(0.001)
    go_on.set()
    newer.join(30)
    thread.join(30)
    assert ended == [True] and found[0].result.shape == (64, 96, 3)


def test_cuts_of_a_long_clip_are_looked_for_where_one_looks(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    decide = NearCuts._decide

    def noted(self: NearCuts, first: int, last: int, check: Any) -> None:
        asked.append((first, last))
        decide(self, first, last, check)

    monkeypatch.setattr("vdenoise.review.survey.WHOLE_PIXELS", 0)
    monkeypatch.setattr(NearCuts, "_decide", noted)
    made, box = session(source), (0, 0, 32, 32)
    assert made.survey.cuts is None and not made.survey.whole and asked == []
    for frame in (3, 3):
        made.look(Settings(**PLAIN), frame, box)
    assert len(asked) == 1


def test_who_waits_is_passed_over_and_nothing_begins_after_the_end() -> None:
    newest = Newest()
    with newest.turn() as check:
        check()
        newest._last += 1  # somebody came
        with pytest.raises(Superseded):
            check()
    newest.close()
    with pytest.raises(Superseded), newest.turn():
        pass


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_regions_of_turned_clips_are_where_people_see_them(rotation: int, tmp_path: Path) -> None:
    info = probe(write(Clip("turned.mov", size=(64, 48), frames=1, rotation=rotation), tmp_path))
    whole = np.arange(48 * 64 * 3, dtype=np.uint16).reshape(48, 64, 3)
    seen, area = upright(whole, info), Area(4, 20, 10, 40)
    held = as_held(area, info)
    part = whole[held.top : held.bottom, held.left : held.right]
    assert np.array_equal(upright(part, info), seen[4:20, 10:40]) and as_seen(held, info) == area


# -- settings ------------------------------------------------------------------------------------


def test_everything_that_can_be_turned_is_declared_elsewhere() -> None:
    found = {control.name: control for control in controls(entries())}
    assert found["detail.strength"].help.startswith("Give back removed structure")
    assert set(CHAIN_OPTIONS.values()) <= set(found)
    assert found["temporal.radius"].high == 8 and found["temporal.radius"].step == 1
    assert found["output.bands"].count == 4 and found["output.luma"].default == "100"
    assert "match" not in found["grain.method"].words and "grain.file" not in found
    assert "S" in found["net.model"].words and found["deband.range"].methods == ("smooth",)
    for control in found.values():
        assert control.takes(control.default) or control.kind == "several", control.name
        assert control.help and (control.kind != "number" or control.high > control.low)
        if control.kind == "number" and control.count == 1:
            ends = (control.low, control.high)
            method = f"{control.name.partition('.')[0]}.method"
            beside = {method: control.methods[0]} if control.methods else {}
            for end in ends:
                resolve(load("auto"), [Layer("page", {**beside, control.name: f"{end:g}"})])


def test_the_command_line_says_what_is_set(server: Server, tmp_path: Path) -> None:
    base = server.session.base
    assert base.start.values == {"temporal.radius": "1"} and base.start.speed == "veryfast"
    values = {"output.luma": "50", "spatial.method": "nlm", "spatial.patch": "2"}
    command = shlex.join(base.command(Settings(preset="high-iso+light", values=values), tmp_path))
    assert " --preset high-iso+light " in command and " --luma 50 --spatial nlm " in command
    assert " --set spatial.patch=2" in command and command.endswith("--sigma 9 --device cpu")


def test_what_the_page_cannot_turn_stays_as_it_was_typed(source: Path, tmp_path: Path) -> None:
    made = session(source, "--mask", "left=rect:0,0,48,64,luma=20", "--luma", "80", "--dust")
    begun = made.base.start
    assert begun.values == {"output.luma": "80", "dust.strength": "1"}
    chain = made.base.chain(Settings(preset="auto", values={})).chain()
    assert chain.output.luma == 100 and [mask.name for mask in chain.masks] == ["left"]
    command = made.base.command(begun, Path("o.mkv"))
    assert command[command.index("--mask") + 1] == "left=rect:0,0,48,64,luma=20"
    saved = made.base.save(begun, "masked", "", overwrite=False)
    assert "[[mask]]" in saved.read_text() and "strength = 1" in saved.read_text()
    with pytest.raises(OutputError, match="exists already"):
        made.base.save(begun, "masked", "", overwrite=False)
    made.base.save(begun, "masked", "another", overwrite=True)
    assert 'about = "another"' in saved.read_text()


FORBIDDEN: dict[str, dict[str, Any]] = {
    "a file as a preset": {"preset": "/etc/passwd.toml"},
    "a path as a preset": {"preset": "../x+light"},
    "a file of grain": {"values": {"grain.method": "match"}},
    "its name": {"values": {"grain.file": "/etc/passwd"}},
    "a network's file": {"values": {"net.model": "/tmp/net.safetensors"}},
    "a mask": {"values": {"mask.a": "/etc/passwd"}},
    "no such dial": {"values": {"output.nothing": "1"}},
    "no number": {"values": {"output.luma": "much"}},
    "not a number": {"values": {"output.luma": "nan"}},
    "no such speed": {"speed": "warp"},
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_the_page_names_no_file(asked: Asked, name: str) -> None:
    settings = {**PLAIN, **FORBIDDEN[name]}
    for question in ("settings", "render"):
        status, found = asked.json(question, {"settings": settings})
        assert status == 400 and found["what"] and found["hint"], found
    assert not list(asked.server.session.output.parent.glob("out*"))


def test_errors_are_sentences(asked: Asked, tmp_path: Path) -> None:
    wrong = {**PLAIN, "values": {"output.luma": "101"}}
    assert asked.json("settings", {"settings": wrong})[1]["what"] == (
        "output.luma = 101: want a number from 0 to 100."
    )
    assert asked.json("place", {"place": "99f"})[1]["what"].endswith("the frames 0-5, not 99.")
    assert asked.json("look", {"settings": PLAIN, **HERE, "frame": 6})[0] == 400
    assert asked.json("save", {"settings": PLAIN, "name": "../x"})[0] == 400
    assert asked.json("save", {"settings": PLAIN, "name": "auto"})[0] == 400
    assert asked.json("look", {"settings": PLAIN, **HERE, "path": "/etc/passwd"})[0] == 400
    assert asked.json("settings", "no json")[0] == 400
    status, found = asked.json("place", {"place": "0.12"})
    assert status == 200 and found["frame"] == 3 and found["overview"].startswith("data:image/webp")


def test_a_change_says_at_once_what_it_comes_to(asked: Asked) -> None:
    _, plain = asked.json("settings", {"settings": PLAIN})
    off = {**PLAIN, "values": {"temporal.method": "none", "temporal.radius": "2"}}
    _, told = asked.json("settings", {"settings": off})
    assert "temporal" in plain["on"] and "temporal" not in told["on"] and "temporal" in told["base"]
    assert told["values"]["output.luma"] == "100" and "--temporal none" in told["command"]
    assert told["notes"] == ["temporal.radius = 2 does nothing: temporal is off"]


@pytest.mark.parametrize(("another", "said"), [("high-iso", True), (None, False)])
def test_the_page_names_a_preset_that_is_made_for_such_noise(
    server: Server, monkeypatch: pytest.MonkeyPatch, another: str | None, said: bool
) -> None:
    found = replace(server.session.survey, another=another)
    monkeypatch.setattr(Session, "survey", property(lambda _: found))
    assert ("Another preset for such footage: high-iso." in tune_page(server.session)) == said


# -- who may ask ---------------------------------------------------------------------------------


def test_the_page_has_all_it_needs(asked: Asked) -> None:
    status, page, headers = asked("GET", f"/{asked.server.token}/")
    assert status == 200 and "connect-src &#39;self&#39;" in page and "http://" not in page
    assert "https://" not in page and page.count("<script>") == 1
    assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store" and "server" not in headers
    assert asked.server._door.getsockname()[0] == "127.0.0.1"


def test_strangers_are_refused(asked: Asked, source: Path) -> None:
    port, token = asked.server.port, asked.server.token
    own, json_type = f"http://127.0.0.1:{port}", "application/json"
    right = {"Origin": own, "Content_Type": json_type}
    body = {"settings": PLAIN}
    assert asked("POST", f"/{token}/settings", body, **right)[0] == 200
    assert asked("GET", f"/{token}/", Host=f"localhost:{port}")[0] == 200
    for path in ("/", "/favicon.ico", f"/{token[:-1]}/", f"/{token}x/", f"//{token}/", "/wrong/"):
        assert asked("GET", path)[0] == 403, path
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", ""):
        assert asked("GET", f"/{token}/", Host=host)[0] in (400, 403), host
    for origin in ("http://evil.example", "null", "http://127.0.0.1", f"https://127.0.0.1:{port}"):
        headers = {**right, "Origin": origin}
        assert asked("POST", f"/{token}/settings", body, **headers)[0] == 403, origin
        assert asked("GET", f"/{token}/", Origin=origin)[0] == 403, origin
    refused = [
        {"Content_Type": json_type},  # no page asks without saying who it is
        {"Origin": own, "Content_Type": "text/plain"},
        {"Origin": own},
        {**right, "Sec_Fetch_Site": "cross-site"},
        {**right, "Sec_Fetch_Site": "same-site"},
    ]
    for headers in refused:
        assert asked("POST", f"/{token}/settings", body, **headers)[0] == 403, headers
    assert asked("POST", f"/{token}/settings", "x" * 70_000, **right)[0] == 403
    for path in ("../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2fin.mkv", str(source)):
        status, text, _ = asked("GET", f"/{token}/{path}")
        assert status in (403, 404) and "root:" not in text
    assert asked("GET", f"/{token}/settings")[0] == 405


def test_render_now_writes_what_is_shown_and_can_be_stopped(
    asked: Asked, source: Path, tmp_path: Path
) -> None:
    server = asked.server
    target = server.session.output
    try:
        status, now = asked.json("render", {"settings": PLAIN})
        assert status == 200 and now["state"] == "running"
        assert asked.json("render", {"settings": PLAIN})[1]["what"] == "A render is under way."
        assert asked.json("stop", {})[1]["state"] == "stopped"
        assert not list(target.parent.glob("*out*"))
    finally:
        server.rendering.stop()


# -- the command ---------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_said(
    source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert cli.status(["tune", str(source), *FAST, "--port", str(port)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and f"port {port}" in said.err and "Leave --port away" in said.err
    assert cli.status(["tune", "-", *FAST]) == 2
    assert cli.status(["tune", str(source.with_name("none.mkv")), *FAST]) == 3
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert cli.status(["tune", str(source), *FAST]) == 5
    assert "pip install 'vdenoise[tune]'" in capsys.readouterr().err


class Opened(webbrowser.BaseBrowser):
    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        return url.startswith("http://127.0.0.1")


@pytest.mark.parametrize(
    ("there", "opened"),
    [(Opened(), True), (webbrowser.GenericBrowser("lynx"), False), (None, False)],
    ids=["a browser", "one that takes the terminal", "none"],
)
def test_where_no_browser_opens_the_page_is_served_all_the_same(
    source: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    there: webbrowser.BaseBrowser | None,
    opened: bool,
) -> None:
    def found() -> webbrowser.BaseBrowser:
        if there is None:
            raise webbrowser.Error("could not locate runnable browser")
        return there

    monkeypatch.setattr(webbrowser, "get", found)
    monkeypatch.setattr(sys.modules["vdenoise.cli.tune"], "_wait", lambda *_: None)
    assert cli.status(["tune", str(source), *FAST]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("http://127.0.0.1:")
    assert ("no browser could be opened" in said.err) != opened


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    told: list[str] = []
    before = set(threading.enumerate())

    def say(address: str) -> None:
        told.append(address)
        threading.Timer(0.2, os.kill, (os.getpid(), number)).start()

    monkeypatch.setattr("vdenoise.ui.result", say)
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    monkeypatch.chdir(tmp_path)
    assert cli.status(["tune", str(source), *FAST]) == code
    assert told[0].startswith("http://127.0.0.1:") and len(told[0].split("/")[3]) == 32
    with socket.socket() as again:
        assert again.connect_ex(("127.0.0.1", int(told[0].split(":")[2].split("/")[0]))) != 0
    assert not list(tmp_path.iterdir())
    assert not [t.name for t in {*threading.enumerate()} - before if "vdenoise" in t.name]


def test_a_name_that_cannot_be_chosen_is_refused_before_anything(server: Server) -> None:
    made = server.session
    with pytest.raises(UsageError, match="cannot be saved"):
        made.base.save(made.base.start, "a/b", "", overwrite=False)
