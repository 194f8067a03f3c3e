"""Which containers FFmpeg may read, so that a clip is one file and opens no other.

FFmpeg tells a format by what a file holds, whatever it is called. Some of its formats name further
files or addresses to read: playlists (HLS, DASH, ffconcat, VobSub, SDP), patterns of images, filter
graphs, devices. A file from elsewhere could bring any other file of this machine into the output.
What is read is therefore listed here; a demuxer that is not in the list is refused before it has
read anything, and so is every protocol but plain files.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

_CONTAINERS = (
    *("mov", "matroska", "webm", "mxf", "avi", "mpegts", "mpeg", "nut", "ogg", "asf", "asf_o"),
    *("flv", "gxf", "lxf", "wtv", "rm", "nsv", "nuv", "swf", "dhav", "ivf", "dv", "yuv4mpegpipe"),
    *("cine", "ser", "mlv", "r3d", "ipmovie", "film_cpk", "bink", "smk", "roq", "vividas"),
    *("pva", "ty", "mgsts", "moflex", "dxa", "anm", "flic", "mtv", "mv", "mvi", "rl2", "4xm"),
)
# Streams of pictures without a container.
_BARE = (
    *("h261", "h263", "h264", "hevc", "vvc", "evc", "obu", "av1", "m4v", "mpegvideo", "vc1"),
    *("vc1test", "mjpeg", "mjpeg_2000", "mpjpeg", "dnxhd", "dirac", "cavsvideo", "avs2", "avs3"),
    *("apv", "ingenient", "smjpeg", "bit"),
)
# One picture or several in one file; the pattern reader (image2) is not among them.
_PICTURES = (
    *("gif", "apng", "fits", "ico", "jpegxl_anim", "bmp_pipe", "cri_pipe", "dds_pipe", "dpx_pipe"),
    *("exr_pipe", "gem_pipe", "gif_pipe", "hdr_pipe", "j2k_pipe", "jpeg_pipe", "jpegls_pipe"),
    *("jpegxl_pipe", "jpegxs_pipe", "pam_pipe", "pbm_pipe", "pcx_pipe", "pfm_pipe", "pgm_pipe"),
    *("pgmyuv_pipe", "pgx_pipe", "phm_pipe", "photocd_pipe", "pictor_pipe", "png_pipe", "ppm_pipe"),
    *("psd_pipe", "qdraw_pipe", "qoi_pipe", "sgi_pipe", "sunrast_pipe", "tiff_pipe", "vbn_pipe"),
    *("webp_pipe", "xbm_pipe", "xpm_pipe", "xwd_pipe"),
)
# Sound alone: read far enough to say that it holds no video.
_SOUND = ("wav", "w64", "aiff", "flac", "mp3", "aac", "ac3", "eac3", "caf", "au", "dts", "truehd")
DEMUXERS = frozenset((*_CONTAINERS, *_BARE, *_PICTURES, *_SOUND))
PROTOCOLS = ("file",)
_OPTIONS = {
    "format_whitelist": ",".join(sorted(DEMUXERS)),
    "protocol_whitelist": ",".join(PROTOCOLS),
}
# How files begin that name others, and what they are to people.
_PLAYLISTS = {
    "#extm3u": "an HLS playlist",
    "ffconcat version": "a list of files (ffconcat)",
    "file '": "a list of files (ffconcat)",  # FFmpeg's users leave the first line out
    "<mpd": "a DASH manifest",
    "v=0": "a session description (SDP)",
    "# vobsub": "an index of subtitles (VobSub)",
    "[playlist]": "a playlist",
    "<asx": "a playlist",
    "<smil": "a playlist",
}
_HEAD_BYTES = 4096


@dataclass(frozen=True)
class Joined:
    """Files that are one movie: see `vdenoise.media.movie.joined`."""

    address: str  # what FFmpeg opens
    files: tuple[Path, ...]
    kinds: tuple[str, ...]  # FFmpeg's names of their container
    begins: tuple[Fraction, ...]  # seconds to each part's first frame; empty where nobody knows
    timecodes: tuple[str | None, ...]  # of each part; empty where one stream holds them all
    timecode_tracks: frozenset[int]  # numbers of streams
    metadata: dict[str, str]
    chapters: Sequence[dict[str, Any]]


_joined: dict[str, Joined] = {}


def known_as_joined(told: Joined) -> Joined:
    """Let `open_demuxer` open what was joined here: no list that came from elsewhere is read."""
    return _joined.setdefault(told.address, told)


def joined_in(container: InputContainer) -> Joined | None:
    """What an open movie was joined of; None of one file."""
    return _joined.get(container.name)


def kinds_of(container: InputContainer) -> tuple[str, ...]:
    """FFmpeg's names of what an open movie is kept in; of parts, what they are."""
    told = joined_in(container)
    return tuple(container.format.name.split(",")) if told is None else told.kinds


def first_file(container: InputContainer) -> Path:
    """The file of an open movie that its header is in."""
    told = joined_in(container)
    return Path(container.name) if told is None else told.files[0]


def open_demuxer(file: Path | str) -> InputContainer:
    """Open a file, or what was joined, with what may read it, and nothing else.

    Raises:
        FFmpegError: it is none of these, or damaged.
    """
    told = _joined.get(str(file))
    if told is not None:
        return _open_joined(told)
    # An absolute path is never taken for an address, whatever its name is.
    path = str(Path(file).absolute())
    return av.open(path, metadata_errors="surrogateescape", options=dict(_OPTIONS))


def _open_joined(told: Joined) -> InputContainer:
    """Open parts: each was opened by itself before, with what may read it."""
    address, protocols = told.address, ",".join((*PROTOCOLS, "concatf"))
    kind = None if address.startswith("concatf:") else "concat"
    options = {**_OPTIONS, "protocol_whitelist": protocols}
    if kind is not None:
        options |= {"safe": "0", "format_whitelist": f"concat,{_OPTIONS['format_whitelist']}"}
    container = av.open(address, format=kind, metadata_errors="surrogateescape", options=options)
    container.metadata.update(told.metadata)
    if told.chapters:
        container.set_chapters(told.chapters)  # type: ignore[arg-type]
    return container


def text_kind(file: Path) -> str:
    """What a text file is, to people: ``text`` of any; empty of what is no text."""
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return ""
    if not text or not all(letter.isprintable() or letter.isspace() for letter in text):
        return ""
    begins = text.lstrip().lower()
    if begins.startswith("<?xml"):
        begins = begins.partition("?>")[2].lstrip()
    return next((kind for word, kind in _PLAYLISTS.items() if begins.startswith(word)), "text")
