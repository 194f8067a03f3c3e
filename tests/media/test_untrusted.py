"""Clips from anywhere: a file is read, and no other file or address that it names."""

from __future__ import annotations

import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy
import OpenImageIO
import pytest
import torch

from tests.helpers import images
from tests.helpers.clips import Clip, write
from vdenoise import cli
from vdenoise.errors import InputError
from vdenoise.media.mezzanine import write_mezzanine
from vdenoise.media.movie.demuxers import DEMUXERS, text_kind
from vdenoise.media.movie.screen import write_screen_movie
from vdenoise.media.probe import probe

PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n",
    "hls-subfile": "#EXTM3U\n#EXTINF:1,\nsubfile,,start,0,end,0,,:{clip}\n#EXT-X-ENDLIST\n",
    "hls-data": "#EXTM3U\n#EXTINF:1,\ndata:text/plain;base64,AAAA\n#EXT-X-ENDLIST\n",
    "hls-crypto": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{clip}"\n#EXTINF:1,\ncrypto:{clip}\n',
    "hls-http": "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{clip}'\n",
    "concat-bom": "\ufeffffconcat version 1.0\nfile '{clip}'\n",
    "concat-script": "file '{clip}'\n",
    "dash": '<?xml version="1.0"?>\n<MPD><Period><BaseURL>{clip}</BaseURL></Period></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    "vobsub": "# VobSub index file, v7\nsize: 720x576\n",
    "smil": "<smil><body><video src='{clip}'/></body></smil>",
    "pls": "[playlist]\nFile1={clip}\n",
    "svg": "<svg xmlns='http://www.w3.org/2000/svg'><image href='{clip}'/></svg>",
    "text": "nothing at all\n",
}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(Clip("in.mkv", codec="ffv1", frames=3), tmp_path)


@pytest.mark.parametrize("ending", [".mkv", ".m3u8", ".mpd", ".concat", ".mov", ".ffconcat"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_what_names_other_files_is_no_clip(
    clip: Path, kind: str, ending: str, tmp_path: Path
) -> None:
    for named in (str(clip), clip.name):
        listed = tmp_path / f"list{ending}"
        listed.write_text(PLAYLISTS[kind].format(clip=named))
        with pytest.raises(InputError) as caught:
            probe(listed)
        playlist = not kind.endswith(("text", "svg"))
        assert caught.value.number == (18 if playlist else 4)


def test_a_command_says_what_it_was_given(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "list.m3u8"
    listed.write_text(PLAYLISTS["hls"].format(clip=clip))
    assert cli.status(["run", str(listed), "-o", str(tmp_path / "o.mkv")]) == 3
    assert "is an HLS playlist, not a clip" in capsys.readouterr().err
    words = ["--sigma", "5", "--speed", "veryfast", "--mask", f"m=file:{listed}"]
    assert cli.status(["run", str(clip), "-o", str(tmp_path / "o.mkv"), *words]) == 3
    assert not (tmp_path / "o.mkv").exists()


@pytest.mark.parametrize(
    "name",
    [
        "http:x.mkv",
        "concat:a.mkv|b.mkv",
        "subfile,,start,0,end,9,,:in.mkv",
        "data:in.mkv",
        "crypto:in.mkv",
        "file:in.mkv",
        "pipe:0",
        "async:in.mkv",
        "-i.mkv",
    ],
)
def test_a_name_is_a_file_and_no_address(
    clip: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        probe(Path(name))
    assert caught.value.number == 1  # there is no such file
    shutil.copy(clip, Path(name))
    assert probe(Path(name)).frames == 3


def test_a_pattern_of_images_is_not_opened_by_a_movie_reader(tmp_path: Path) -> None:
    """image2 would read other files, if a file is called as a pattern."""
    for n in range(3):
        images.write(tmp_path / f"a{n}.tif", images.picture(n), "float")
    shutil.copy(tmp_path / "a0.tif", tmp_path / "a%d.bmp")
    try:
        assert probe(tmp_path / "a%d.bmp").frames == 1
    except InputError as error:
        assert error.number in (4, 5, 6, 10)


def test_an_image_is_read_as_the_kinds_that_are_read(tmp_path: Path) -> None:
    image = OpenImageIO.ImageOutput.create("x.hdr")
    image.open(str(tmp_path / "x.hdr"), OpenImageIO.ImageSpec(8, 8, 3, "float"))
    image.write_image(images.picture(0)[:8, :8].astype("float32"))
    image.close()
    (tmp_path / "x.hdr").rename(tmp_path / "x.png")
    with pytest.raises(InputError):
        probe(tmp_path / "x.png")


def test_no_reader_of_lists_is_let_in() -> None:
    others = {"concat", "hls", "dash", "image2", "image2pipe", "lavfi", "vobsub", "sdp", "rtsp"}
    others |= {"tty", "webm_dash_manifest", "svg_pipe", "fbdev", "x11grab", "v4l2", "rtp", "imf"}
    assert not DEMUXERS & others
    code = "import av; print(*{p for n in av.formats_available for p in n.split(',')})"
    known = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(known.stdout.split()) >= DEMUXERS  # each is a name that FFmpeg knows


def test_what_is_no_text_is_told_from_text(tmp_path: Path) -> None:
    file = tmp_path / "x"
    for data, kind in (
        (b"\x00\x01", ""),
        (b"\xff\xfe\x00", ""),
        (b"a" * 5000 + b"\xff", "text"),
        ("ä".encode() * 4096, "text"),  # cut in the middle of a letter
        (b"x" + "ä".encode() * 4096, "text"),
        (b"\n\n#EXTM3U\n", "an HLS playlist"),
    ):
        file.write_bytes(data)
        assert text_kind(file) == kind


@pytest.mark.parametrize("folder", ["", "t10:30", "file:", "subfile,,start,0,end,0,,:"])
def test_a_name_with_a_colon_is_a_name(
    folder: str, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As times of day have it: where a name begins like an address, it is the file all the same."""
    monkeypatch.chdir(tmp_path)
    place = Path(folder or ".")
    place.mkdir(exist_ok=True)
    source = clip.rename(tmp_path / place / "10:30,in.mkv").relative_to(tmp_path)
    words = ("run", str(source), "-o", str(place / "http:out.mkv"), "--luma", "0", "--chroma", "0")
    assert cli.status([*words, "--sigma", "5", "--cuts", "off", "--speed", "veryfast"]) == 0
    assert probe(tmp_path / place / "http:out.mkv").frames == 3
    picture = numpy.zeros((16, 16, 3), numpy.uint8)
    assert write_screen_movie(place / "rtp:wipe.mp4", [picture], Fraction(25)) == 1
    write_mezzanine(place / "udp:a.mkv", [torch.zeros(3, 32, 32)], crf=10, threads=1)
    assert (place / "rtp:wipe.mp4").exists() and (place / "udp:a.mkv").exists()
