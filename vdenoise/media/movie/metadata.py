"""Which words about a clip go over into another container, and how that spells them."""

from __future__ import annotations

from typing import Any

from av.container import InputContainer

from vdenoise.media.movie.services import service_of
from vdenoise.media.movie.tag import is_tag

# Written by the muxer itself, wrong for a new file.
_OWN_KEYS = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "encoding_tool",
    "software",  # AVI's encoder
    "duration",
    "vendor_id",
    "alpha_mode",
    "stereo_mode",
    "timecode",
    "bps",
    "number_of_frames",
    "number_of_bytes",
    "_statistics_writing_app",
    "_statistics_writing_date_utc",
    "_statistics_tags",
    # Where a tag of ours goes; of another version or damaged it is not told by its form.
    "vdenoise",
    "comment_vdenoise",
    "uid",  # of MXF, down to the end
    "generation_uid",
    "product_uid",
    "material_package_umid",
    "file_package_umid",
    "reel_umid",
    "toolkit_version_num",
    "product_version_num",
    "operational_pattern_ul",
    "application_platform",
    "modification_date",
}


def _kept(metadata: dict[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in metadata.items()
        if key.lower().partition("-")[0] not in _OWN_KEYS
        and key.lower() not in _OWN_KEYS
        and not is_tag(value)
    }


def stream_metadata(stream: Any, container: str) -> dict[str, str]:
    """A stream's metadata without what a muxer writes itself, in words the container knows."""
    kept = _kept(stream.metadata)
    if "name" in kept:  # of a QuickTime track, which muxers know as its title
        kept = {"title": kept.pop("name"), **kept}
    if "language" in kept:
        kept["language"] = language_in(kept["language"], container)
    return kept


# QuickTime stores languages as numbers of a table that has one name for each: ISO 639-2 has two
# for some, and two names in FFmpeg's table are none of ISO's.
_QUICKTIME_LANGUAGES = {
    "fre": "fra", "deu": "ger", "nld": "dut", "swe": "sve", "ell": "gre", "isl": "ice",
    "zho": "chi", "sqi": "alb", "rum": "ron", "cze": "ces", "slo": "slk", "mkd": "mac",
    "hye": "arm", "kat": "geo", "bod": "tib", "mya": "bur", "msa": "may", "fas": "per",
    "cym": "wel", "eus": "baq",
}  # fmt: skip
_FROM_QUICKTIME = {"sve": "swe", "mac": "mkd"}


def language_in(language: str, container: str) -> str:
    """A language code as a container spells it."""
    if container == "mov":
        return _QUICKTIME_LANGUAGES.get(language, language)
    return _FROM_QUICKTIME.get(language, language)


def reel_name(source: InputContainer) -> dict[str, str]:
    """The name of the reel that a timecode is of, by FFmpeg's key; empty where none is told."""
    for place in (source, *source.streams):
        for key, word in place.metadata.items():
            if key.lower() == "reel_name":
                return {"reel_name": word}
    return {}


# Keys that QuickTime's own metadata has a place for; any other needs the key-value kind.
QUICKTIME_KEYS = frozenset({
    "title", "artist", "album", "album_artist", "comment", "date", "genre", "copyright",
    "composer", "creation_time", "description", "synopsis", "location", "track", "encoder",
})  # fmt: skip


def container_metadata(source: InputContainer) -> dict[str, str]:
    """A container's metadata without what a muxer writes itself. Matroska shouts its keys, which
    QuickTime would take for others than its own."""
    kept = {
        key.lower() if key.lower() in QUICKTIME_KEYS else key: value
        for key, value in _kept(source.metadata).items()
    }
    service = service_of(source)
    return kept if service is None else {**service.words, **kept}
