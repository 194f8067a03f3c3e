"""Write ``docs/media.md`` from the ledger's table: ``python -m vdenoise.media.page``."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path

from vdenoise.media.movie.codecs import CODECS, Codec
from vdenoise.media.movie.ledger import RULES, WRITTEN, Rule
from vdenoise.media.movie.pixels import planar_format
from vdenoise.media.movie.settings import fits
from vdenoise.media.movie.tag import PLACES
from vdenoise.picture.frame import ClipInfo

INTRODUCTION = """\
# What is kept

<!-- Made by `python -m vdenoise.media.page`. Change the ledger's table, not this page. -->

Every frame keeps its time and every sample what was not noise. What else a movie holds is listed
before the start: what the output cannot tell is a named warning, and an error under `--strict`.
Afterwards the output is read again and compared with its source, and only then gets its name.

## Streams beside the picture

Sound, subtitles, attachments, data and further pictures are copied packet by packet. The muxer of
the output is asked for each, with its own parameters and first packets; what it does not take, or
what nobody could read again from it, is named. Text subtitles for which a container has another
format are rewritten in that, and sound as PCM of the same samples where it is not taken: with
nothing lost that is said, and is no warning. Styles and places of ASS and WebVTT do not go along
into other text, by name. The check compares the contents of every packet, and when it is shown
or heard beside the picture: to a tick of the containers, in AVI to half a frame of sound.

Before the start all of it is written once with a small gray picture and checked the same way (of a
clip of more than 1000 frames 500 at each end): what a container cannot hold ends a run there, and
the error names outputs that hold it. MXF holds sound from the picture's first frame to its last:
silence fills what lacks, and what goes beyond is named; other sound than PCM of 16 or 24 bits at
48 kHz is written as that. WebM holds up to eight channels as Opus. A hole in sound stays one; where
PCM is only counted, as in MOV, MP4 and AVI, silence fills it. Packets that an edit list hides, and
that the first one heard is decoded with, go into Matroska as its CodecDelay; where they have no
place, sound fades in, by name. Parts that an edit list plays one after the other are one clip;
where it pauses in mid-clip or plays a part slower or faster the clip is refused, for FFmpeg plays
all of it. Streams that are encrypted are left out by name, and a picture that
is encrypted is refused. Where times jump back, as in joined transport streams, frames are shown at
the clip's rate and sound goes on where it ended. A stream of bare HEVC says nothing of its end, so
that a last frame that is cut there cannot be told.

A cover stays a cover in MP4 and, as an attachment, in Matroska; others would show it as a movie of
one frame, so that it is left out by name. Words (titles, comments, a camera's tags) and marks
(forced, commentary, for the hearing impaired) are looked for in that small copy: those that an
output has no place for are named.

A transport stream's program keeps its names, numbers and PIDs in another one (M2TS has PIDs of its
own); its title, where a clip has one, is the program's name there. Further programs go into the
same one, and are named.

What each container makes of each kind of sound, text and data is in
[media_matrix.md](media_matrix.md), made from clips that were written and read again.

## The picture

Frames that an AVI left out stay left out in an AVI; what stores only a rate takes no such clip.
H.264 tells the rate of the frames, not of their ticks. Where a source says that its frames are
whole, the output says so too. A pixel shape that only a container told is told by FFV1 as well.

"kept" means with every codec that the container takes; else the codecs are named, for some tell it
themselves. Where the codec's own color tags say nothing, those of the container count.

Images keep their own header, byte order, packing, compression and further channels in their own
kind. What is read in another way than it is stored (palettes, 1 to 4 bits, YCbCr in a TIFF) is
named, and so are colors that are multiplied by alpha where the other kind takes them for others,
smaller copies of the picture, and a display window that only EXR tells. Inks, L*a*b*, raw and deep
samples, luminance with chroma in EXR, several pictures and stills in tiles (HEIC) are refused.

Half and float images are scene-linear, and their values have no end: as they are they go into a
movie as FFV1 in `.mkv`, or into `.nut`. All else is refused (exit 2):
a movie to be looked at needs a color transform first, which decides how a picture looks.
"""

ADDED = """
## What is added

One thing: by which recipe a movie was made, as `vdenoise VERSION PRESET HASH`. It replaces nobody's
words, and what is made of such a clip has its own. `vdenoise replay` finds and checks the recipe by
it ([review.md](review.md)). Images, and all that is no movie with a recipe beside it, get none.
"""


def media_page() -> str:
    """The whole page, as Markdown."""
    head = ("", *WRITTEN)
    rows = [head, ("---",) * len(head)]
    rows += [(rule.item, *(_cell(rule, name) for name in WRITTEN)) for rule in RULES.values()]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    notes = "".join(f"* {rule.item}: {rule.how}.\n" for rule in RULES.values() if rule.how)
    places = "".join(f"* {name}: {PLACES.get(name, 'nothing')}.\n" for name in WRITTEN)
    return f"{INTRODUCTION}\n{table}\nHow, or why not:\n\n{notes}{ADDED}\n{places}"


def _cell(rule: Rule, container: str) -> str:
    taken = _taken(container)
    kept = [name for name in taken if rule.keeps(container, name)]
    return "kept" if kept == taken else ", ".join(kept) or "lost"


@cache
def _taken(container: str) -> list[str]:
    """The codecs that are written into a container."""
    return [name for name, codec in CODECS.items() if any(_fits(f, codec, container) for f in _OF)]


_OF = ("yuv420p", "yuv422p10le", "gbrp")  # one of them every codec holds


def _fits(layout: str, codec: Codec, container: str) -> bool:
    fmt = planar_format(layout)
    assert fmt is not None
    rate = Fraction(25)
    info = ClipInfo(
        Path("plain.mov"), "mov", "", 256, 128, fmt, layout, 1 / rate, rate, 1, 0.04, 0, False,
        False, "bt709", False, "bt709", "bt709", "left", "progressive", Fraction(1),
    )  # fmt: skip
    return fits(info, codec, container)


def main() -> None:
    """Write it."""
    root = Path(__file__).parents[2]
    (root / "docs" / "media.md").write_text(media_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
