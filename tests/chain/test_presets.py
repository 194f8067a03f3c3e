from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from vdenoise import cli
from vdenoise.chain import preset_files
from vdenoise.chain.option_values import parse_assignments
from vdenoise.chain.presets import SPEEDS, Preset, load, names
from vdenoise.chain.resolve import Layer, resolve
from vdenoise.errors import UsageError

EMPTY = Preset("empty", "Nothing said.", {})


@pytest.fixture(autouse=True)
def no_presets_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for them."""
    folder = tmp_path / "own"
    monkeypatch.setenv("VDENOISE_PRESETS", str(folder))
    return folder


def typed(**values: object) -> Layer:
    return Layer("command line", {k.replace("__", "."): v for k, v in values.items()})


def test_every_preset_that_comes_along_resolves() -> None:
    assert names()[0] == "auto"
    assert {"high-iso", "film-scan", "compression", "chroma", "fast-preview"} < set(names())
    for name in names():
        chain = resolve(load(name))
        assert chain.stages and load(name).about.endswith(".")


def test_auto_is_flow_aligned_averaging_then_wiener_then_a_network_at_full_strength() -> None:
    chain = resolve(load("auto"))
    assert chain.text == "temporal.mean > spatial.wiener > net.cnn"
    assert (chain.output.luma, chain.output.chroma, chain.noise.sigma_scale) == (100, 100, 1)


def test_modifiers_reach_the_strengths_of_masks() -> None:
    plain, light, strong = (resolve(load(f"interview{m}")) for m in ("", "+light", "+strong"))
    assert [chain.masks[0].strengths["luma"] for chain in (light, plain, strong)] == [36, 60, 78]
    assert [chain.output.luma for chain in (light, plain, strong)] == [51, 85, 100]


def test_the_quickest_speeds_do_without_the_network_unless_it_is_asked_for() -> None:
    for speed in ("veryfast", "fast"):
        assert "net" not in resolve(load("auto"), speed=speed).text
        for asked in ({"net__model": "S"}, {"net__weight": 0.5}, {"net__method": "cnn"}):
            assert "net.cnn" in resolve(load("auto"), [typed(**asked)], speed=speed).text
        off = typed(net__model="none", net__weight=0.5)
        assert "net" not in resolve(load("auto"), [off], speed=speed).text
    for speed in ("base", "slow", "veryslow"):
        assert "net.cnn" in resolve(load("auto"), speed=speed).text


def test_the_chroma_preset_leaves_luma_alone() -> None:
    assert resolve(load("chroma")).output.luma == 0


def test_later_layers_win() -> None:
    preset = Preset("p", "x.", {"temporal.method": "mean", "temporal.radius": 2}, "base")
    assert resolve(preset).stages[0].reach == 2
    assert resolve(preset, speed="slow").stages[0].reach == 5  # a typed speed beats the preset
    environment = Layer("environment", {"temporal.radius": "4"})
    chain = resolve(preset, [environment], speed="slow")
    assert chain.stages[0].reach == 4
    assert chain.origin["temporal.radius"] == "environment"
    assert resolve(preset, [environment, typed(temporal__radius="1")]).stages[0].reach == 1


def test_a_presets_speed_lies_under_its_own_values() -> None:
    preset = Preset("p", "x.", {"temporal.method": "mean", "temporal.radius": 2}, "veryslow")
    stage = resolve(preset).stages[0]
    assert stage.reach == 2
    assert resolve(Preset("p", "x.", {"temporal.method": "mean"}, "veryfast")).stages[0].reach == 1


def test_another_method_starts_from_its_own_defaults() -> None:
    preset = Preset("p", "x.", {"spatial.method": "wiener", "spatial.strength": 0.5})
    assert resolve(preset).stages[0].strength == 0.5
    assert resolve(preset, [typed(spatial__method="nlm")]).stages[0].strength == 1.0


def test_zero_and_none_switch_off() -> None:
    off = typed(temporal__radius="0", spatial__strength="0", net__model="none")
    chain = resolve(load("auto"), [off])
    assert chain.stages == () and chain.text == "nothing"
    some = typed(temporal__method="none", net__method="none")
    assert resolve(load("auto"), [some]).text == "spatial.wiener"


def test_a_parameter_of_a_slot_that_is_off_switches_it_on() -> None:
    assert resolve(EMPTY).stages == ()
    assert resolve(EMPTY, [typed(spatial__strength=0.5)]).text == "spatial.wiener"


def test_options_that_are_numbers_can_be_typed() -> None:
    stage = resolve(load("auto"), [typed(spatial__block="16")]).stages[1]
    assert stage.model_dump()["block"] == 16


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("temporal.radius", "9", 17),
        ("temporal.radius", "-1", 17),
        ("temporal.radius", "2.5", 17),
        ("temporal.radius", "many", 17),
        ("temporal.radius", True, 17),
        ("temporal.radius", "", 17),
        ("spatial.strength", "nan", 17),
        ("spatial.strength", "inf", 17),
        ("spatial.block", "12", 17),
        ("output.luma", "101", 17),
        ("output.luma", math.nan, 17),
        ("output.chroma", "no", 17),
        ("output.chroma", True, 17),
        ("noise.sigma_scale", [1], 17),
        ("temporal.raduis", "2", 16),
        ("spacial.strength", "1", 16),
        ("output.lumma", "1", 16),
        ("spatial.method", "nml", 15),
        ("spatial.method", 3, 15),
    ],
)
def test_wrong_values_give_one_sentence(name: str, value: object, number: int) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(load("auto"), [Layer("command line", {name: value})])
    assert caught.value.number == number
    assert name in caught.value.what and caught.value.hint


def test_the_sentence_is_the_same_from_a_preset_and_from_the_command_line() -> None:
    sentences = set()
    for preset, layers in (
        (Preset("p", "x.", {"temporal.radius": 9}), ()),
        (load("auto"), (typed(temporal__radius="9"),)),
    ):
        with pytest.raises(UsageError) as caught:
            resolve(preset, layers)
        sentences.add(caught.value.what)
    assert sentences == {"temporal.radius = 9: want a whole number from 0 to 8."}


def test_mistyped_names_are_guessed() -> None:
    with pytest.raises(UsageError, match="Did you mean high-iso"):
        load("highiso")
    with pytest.raises(UsageError, match="Did you mean radius"):
        resolve(load("auto"), [typed(temporal__raduis="2")])
    with pytest.raises(UsageError, match="Did you mean nlm"):
        resolve(load("auto"), [typed(spatial__method="nml")])


MALFORMED = {
    "no schema": 'about = "x."',
    "old schema": 'schema = 0\nabout = "x."',
    "schema in words": 'schema = "one"\nabout = "x."',
    "no about": "schema = 1",
    "about is a number": "schema = 1\nabout = 3",
    "unknown key": 'schema = 1\nabout = "x."\nstrength = 3',
    "unknown table": 'schema = 1\nabout = "x."\n[sharpening]\namount = 1',
    "slot is no table": 'schema = 1\nabout = "x."\nspatial = 1',
    "slot is a list": 'schema = 1\nabout = "x."\n[[spatial]]\nmethod = "nlm"',
    "unknown speed": 'schema = 1\nabout = "x."\nspeed = "warp"',
    "speed is a list": 'schema = 1\nabout = "x."\nspeed = ["fast"]',
    "unknown parameter": 'schema = 1\nabout = "x."\n[spatial]\nsterngth = 1',
    "unknown dial": 'schema = 1\nabout = "x."\n[output]\nred = 1',
    "nested": 'schema = 1\nabout = "x."\n[spatial.more]\na = 1',
    "another order": 'schema = 1\nabout = "x."\n[spatial]\nmethod="nlm"\n[temporal]\nradius=1',
    "gauge is a number": 'schema = 1\nabout = "x."\n[gauge]\n8mm = 5',
    "no TOML": "schema = ",
    "no text": "\udcff",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_malformed_presets_are_refused_in_words(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError):
        resolve(load(str(path)))


def test_a_preset_of_ones_own_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('schema = 1\nabout = "Mine."\n[spatial]\nmethod = "nlm"\n')
    assert resolve(load(str(path))).text == "spatial.nlm"
    with pytest.raises(UsageError, match="Cannot read"):
        load(str(tmp_path / "other.toml"))


def test_assignments() -> None:
    assert parse_assignments(["a.b=1", " c.d = x=y "]) == {"a.b": "1", "c.d": "x=y"}
    for bad in ("radius=3", "a.b", "a.b.c=1", "=1"):
        with pytest.raises(UsageError):
            parse_assignments([bad])
    with pytest.raises(UsageError, match="twice"):
        parse_assignments(["a.b=1", "a.b=2"])


INTENTS = {
    "auto", "high-iso", "film-scan", "compression", "chroma", "anime", "action", "interview",
    "surveillance", "tape", "fast-preview", "max",
}  # fmt: skip


def test_every_intent_has_a_preset_with_reasons() -> None:
    assert set(names()) == INTENTS
    for name in names():
        assert len(load(name).why.split()) > 12, f"{name} does not say why"


@pytest.mark.parametrize("name", sorted(INTENTS))
def test_every_preset_works_at_every_speed_and_with_every_modifier(name: str) -> None:
    preset = load(name)
    for modifier in ("light", "strong", *preset.gauges):
        for speed in (None, *SPEEDS):
            assert resolve(load(f"{name}+{modifier}"), speed=speed).stages


def test_presets_keep_their_promises() -> None:
    chains = {name: resolve(load(name)) for name in names()}
    assert chains["anime"].text == "temporal.mean > spatial.wiener > deband.smooth"
    assert chains["surveillance"].text == "deblock.edges > temporal.static > spatial.wiener"
    assert not any(stage.role == "sharpener" for stage in chains["surveillance"].stages)
    assert chains["action"].stages[0].reach < chains["auto"].stages[0].reach
    assert chains["chroma"].output.luma == 0
    assert chains["interview"].output.luma < 100 and chains["film-scan"].output.luma < 50
    assert chains["max"].speed == "veryslow"


def test_light_and_strong() -> None:
    assert resolve(load("high-iso+light")).output.luma == 54
    strong = resolve(load("high-iso+strong"))
    assert strong.output.luma == 100 and strong.noise.sigma_scale == pytest.approx(1.15, abs=1e-3)
    assert resolve(load("chroma+strong")).output.luma == 0
    with pytest.raises(UsageError, match="Did you mean strong"):
        load("auto+stong")


def test_gauges_of_film() -> None:
    luma = [resolve(load(f"film-scan+{g}mm")).output.luma for g in (8, 16, 35, 65)]
    assert luma == sorted(luma, reverse=True) and len(set(luma)) == 4
    assert (
        resolve(load("film-scan+light+8mm")).output.luma
        == resolve(load("film-scan+8mm+light")).output.luma
    )
    with pytest.raises(UsageError, match="cannot be made '8mm'"):
        load("anime+8mm")


def own(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.toml").write_text(f'schema = 1\nabout = "Mine."\n{text}')


def test_presets_of_ones_own_inherit(no_presets_of_ones_own: Path) -> None:
    folder = no_presets_of_ones_own
    own(folder, "mine", 'inherit = "high-iso+light"\n[output]\nchroma = 70\n')
    own(folder, "other", 'inherit = "mine"\n[spatial]\nmethod = "nlm"\n')
    own(folder, "auto", "[output]\nluma = 1\n")  # the name is taken
    assert set(names()) == INTENTS | {"mine", "other"}
    mine, other, parent = (resolve(load(name)) for name in ("mine", "other", "high-iso"))
    assert (mine.output.luma, mine.output.chroma) == (54, 70)
    assert mine.stages == parent.stages
    assert other.text == "temporal.mean > spatial.nlm > net.cnn"
    assert other.output.chroma == 70
    assert resolve(load("auto")).output.luma == 100


@pytest.mark.parametrize("parent", ["mine", "other", "no-such"])
def test_inheriting_in_a_circle_or_from_nothing_is_refused(
    parent: str, no_presets_of_ones_own: Path
) -> None:
    own(no_presets_of_ones_own, "mine", f'inherit = "{parent}"\n')
    own(no_presets_of_ones_own, "other", 'inherit = "mine"\n')
    with pytest.raises(UsageError):
        load("mine")


def test_without_a_home_there_are_the_shipped_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VDENOISE_PRESETS", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def nobody() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", nobody)
    assert set(names()) == INTENTS and preset_files.own_folder() is None
    with pytest.raises(UsageError, match="no place"):
        preset_files.new_path("mine")


def call(*args: str) -> int:
    return cli.status(["presets", *args])


def test_saving_showing_and_comparing(
    no_presets_of_ones_own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("save", "mine", "--preset", "film-scan", "--gauge", "8mm", "--luma", "42", "--grain",
             "synth:3,1.5", "--set", "spatial.block=16", "--about", "My film.")  # fmt: skip
    assert call(*words) == 0
    assert resolve(load("mine")).output.luma == 42 and load("mine").about == "My film."
    assert resolve(load("mine")).text == "temporal.mean > spatial.wiener > net.cnn > grain.synth"
    assert call(*words) == 4  # it is there already
    assert call(*words, "--overwrite") == 0
    capsys.readouterr()
    assert call("diff", "mine", "film-scan+8mm", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["output.luma"] == [42, 55] and "temporal.radius" not in found
    assert call("diff", "mine", "mine") == 0 and "do the same" in capsys.readouterr().out
    assert call("show", "mine", "--resolved") == 0
    assert "temporal.motion_threshold" in capsys.readouterr().out
    assert call("mine") == 0 and call() == 0
    assert "My film." in capsys.readouterr().out


@pytest.mark.parametrize("name", ["auto", "a/b", "../x", "", "a b"])
def test_names_that_presets_cannot_have(name: str) -> None:
    assert call("save", name, "--luma", "50") == 2


def test_what_is_saved_is_checked_first(no_presets_of_ones_own: Path) -> None:
    assert call("save", "mine", "--luma", "500") == 2
    assert not no_presets_of_ones_own.exists()


def test_masks_are_shown_as_they_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["show", "interview"], ["diff", "auto", "interview"]):
        assert cli.status(["presets", *words]) == 0
        assert "auto:skin,mode=set,stabilize=2,luma=60,feather=12" in capsys.readouterr().out
