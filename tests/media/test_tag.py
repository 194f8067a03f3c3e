"""A movie says by which recipe it was made, and says nothing else than it would have said."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from tests.helpers.clips import Clip, write
from tests.helpers.copies import copied
from vdenoise.errors import VerifyError
from vdenoise.media.movie import output as output_module
from vdenoise.media.movie.ledger import WRITTEN
from vdenoise.media.movie.settings import choose
from vdenoise.media.movie.tag import PLACES, RecipeTag, is_tag, tag_in
from vdenoise.media.probe import probe

TAG = RecipeTag("0.1.0", "film-scan+strong", "3fa92b07c41d55e8")
WORDS = {"title": "A title", "comment": "Somebody's words"}


def words(path: Path) -> list[dict[str, str]]:
    """All that a file and its streams say in words."""
    with av.open(str(path)) as container:
        return [dict(container.metadata), *(dict(stream.metadata) for stream in container.streams)]


CASES = {
    "out.mkv": ("ffv1", WORDS),
    "out.webm": ("vp9", WORDS),
    "out.nut": ("ffv1", WORDS),
    "out.mp4": ("x264", WORDS),
    "keys.mp4": ("x264", WORDS | {"com.apple.quicktime.make": "Somebody"}),
    "out.mov": ("x264", WORDS),
    "keys.mov": ("x264", WORDS | {"com.apple.quicktime.make": "Somebody"}),
    "out.mxf": ("x264", {}),
    "out.avi": ("ffv1", WORDS),
    "out.ts": ("x264", WORDS),
}


@pytest.mark.parametrize("name", CASES)
def test_a_movie_tells_its_recipe_and_nothing_else_changes(tmp_path: Path, name: str) -> None:
    codec, told = CASES[name]
    keys = {"movflags": "+use_metadata_tags"} if name.startswith("keys") else {}
    clip = Clip("in.mov", frames=3, metadata=told, container_options=keys, format="yuv420p")
    if name == "out.mxf":
        clip = Clip("in.mov", frames=3, format="yuv422p10le", codec="libx264")
    source = write(clip, tmp_path)
    with_tag = copied(source, tmp_path / name, tag=TAG, codec=codec)
    without = copied(source, tmp_path / f"plain.{name}", codec=codec)
    there = tag_in(with_tag)
    container = choose(probe(source), with_tag, codec=codec).container
    assert (there is not None) == (container in PLACES)
    if there is not None:
        assert (there.version, there.recipe) == (TAG.version, TAG.recipe)
        assert there.preset in (TAG.preset, "")
    assert tag_in(without) is None
    for mine, plain in zip(words(with_tag), words(without), strict=True):
        own = {key for key, value in mine.items() if is_tag(value)}
        volatile = {key for key in mine if "uid" in key or "umid" in key}
        assert {k: v for k, v in mine.items() if k not in own | volatile} == {
            k: v for k, v in plain.items() if k not in own | volatile
        }
        assert own - plain.keys() <= {
            "vdenoise",
            "VDENOISE",
            "comment_vdenoise",
            "encoding_tool",
            "encoder",
        }


def test_a_clip_that_is_done_twice_has_the_tag_of_the_second_time(tmp_path: Path) -> None:
    source = write(Clip("in.mkv", codec="ffv1", frames=2), tmp_path)
    first = copied(source, tmp_path / "first.mkv", tag=TAG)
    again = RecipeTag("0.1.0", "auto", "0123456789abcdef")
    for name, codec in (("second.mkv", "ffv1"), ("second.mov", "x264"), ("second.mp4", "x264")):
        second = copied(first, tmp_path / name, tag=again, codec=codec)
        found = [value for told in words(second) for value in told.values() if is_tag(value)]
        assert found == [again.short if name.endswith("mov") else again.text]
        assert not any(
            map(
                is_tag,
                (
                    v
                    for w in words(copied(second, tmp_path / f"x{name}", codec=codec))
                    for v in w.values()
                ),
            )
        )


def test_a_tag_that_did_not_come_through_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_module, "put", lambda *_: None)
    source = write(Clip("in.mkv", codec="ffv1", frames=2), tmp_path)
    with pytest.raises(VerifyError, match="recipe tag"):
        copied(source, tmp_path / "out.mkv", tag=TAG)
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize("version", ["0.1.0", "1.12.3", "0.1.0.dev12+g0123456789"])
@pytest.mark.parametrize("preset", ["auto", "my own preset+light", "7"])
def test_a_tag_reads_back_in_both_forms(version: str, preset: str) -> None:
    tag = RecipeTag(version, preset, "0123456789abcdef")
    long, short = RecipeTag.read(tag.text), RecipeTag.read(tag.short)
    assert long == RecipeTag(version, "-".join(preset.split()), tag.recipe)
    assert short is not None and short.recipe == tag.recipe and len(tag.short.encode()) <= 31


@pytest.mark.parametrize(
    "text",
    ["", "vdenoise", "Lavf62.12.102", "vdenoise 0.1.0", "my vdenoise 0.1.0 0123456789abcdef"],
)
def test_other_words_are_no_tag(text: str) -> None:
    assert not is_tag(text)


def test_every_place_is_a_container_that_is_written() -> None:
    assert set(PLACES) < set(WRITTEN)
