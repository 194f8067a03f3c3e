from __future__ import annotations

import math
from pathlib import Path

import pytest

from vdenoise.errors import UsageError
from vdenoise.preset import Layer, Preset, load, names, parse_assignments, resolve

EMPTY = Preset("empty", "Nothing said.", {})


def typed(**values: object) -> Layer:
    return Layer("command line", {k.replace("__", "."): v for k, v in values.items()})


def test_every_preset_that_comes_along_resolves() -> None:
    assert names()[0] == "auto"
    assert {"high-iso", "film-scan", "compression", "chroma", "fast-preview"} < set(names())
    for name in names():
        chain = resolve(load(name))
        assert chain.stages and load(name).about.endswith(".")


def test_auto_is_flow_aligned_averaging_then_wiener_at_full_strength() -> None:
    chain = resolve(load("auto"))
    assert chain.text == "temporal.mean > spatial.wiener"
    assert (chain.luma, chain.chroma, chain.sigma_scale) == (100, 100, 1)


def test_the_chroma_preset_leaves_luma_alone() -> None:
    assert resolve(load("chroma")).luma == 0


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
    chain = resolve(load("auto"), [typed(temporal__radius="0", spatial__strength="0")])
    assert chain.stages == () and chain.text == "nothing"
    assert resolve(load("auto"), [typed(temporal__method="none")]).text == "spatial.wiener"


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
    "unknown table": 'schema = 1\nabout = "x."\n[sharpen]\namount = 1',
    "slot is no table": 'schema = 1\nabout = "x."\nspatial = 1',
    "slot is a list": 'schema = 1\nabout = "x."\n[[spatial]]\nmethod = "nlm"',
    "unknown speed": 'schema = 1\nabout = "x."\nspeed = "warp"',
    "speed is a list": 'schema = 1\nabout = "x."\nspeed = ["fast"]',
    "unknown parameter": 'schema = 1\nabout = "x."\n[spatial]\nsterngth = 1',
    "unknown dial": 'schema = 1\nabout = "x."\n[output]\nred = 1',
    "nested": 'schema = 1\nabout = "x."\n[spatial.more]\na = 1',
    "another order": 'schema = 1\nabout = "x."\n[spatial]\nmethod="nlm"\n[temporal]\nradius=1',
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
