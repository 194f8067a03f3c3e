"""Which containers FFmpeg may read, so that a clip is one file and opens no other.

FFmpeg tells a format by what a file holds, whatever it is called. Some of its formats name further
files or addresses to read: playlists (HLS, DASH, ffconcat, VobSub, SDP), patterns of images, filter
graphs, devices. A file from elsewhere could bring any other file of this machine into the output.
What is read is therefore listed here; a demuxer that is not in the list is refused before it has
read anything, and so is every protocol but plain files.
"""

from __future__ import annotations

import codecs
from pathlib import Path

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


def open_demuxer(file: Path | str) -> InputContainer:
    """Open a file with what may read it, and nothing else.

    Raises:
        FFmpegError: it is none of these, or damaged.
    """
    # An absolute path is never taken for an address, whatever its name is.
    path = str(Path(file).absolute())
    return av.open(path, metadata_errors="surrogateescape", options=dict(_OPTIONS))


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
