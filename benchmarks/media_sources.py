"""The clips of the matrix: what FFmpeg's program is told, to make each of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

_SECONDS = 0.48  # 12 frames
_INPUTS = (
    *("-f", "lavfi", "-i", f"testsrc2=s=64x64:r=25:d={_SECONDS}"),
    *("-f", "lavfi", "-i", f"sine=r=48000:d={_SECONDS}"),
)
_H264 = "-c:v libx264 -preset ultrafast -bf 2 -pix_fmt yuv420p"
_HEVC = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -x265-params log-level=none"
_MJPEG = "-c:v mjpeg -pix_fmt yuvj420p"
_PRORES = "-c:v prores_ks -pix_fmt yuv422p10le"
_MPEG2 = "-c:v mpeg2video -pix_fmt yuv420p -b:v 3M"
_VP9 = "-c:v libvpx-vp9 -cpu-used 8 -pix_fmt yuv420p"
_AAC = "-map 1:a -c:a aac -ac 2"
_PQ = "-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc"
_MASTERING = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
_SUBTITLES = "1\n00:00:00,080 --> 00:00:00,200\none\n\n2\n00:00:00,240 --> 00:00:00,400\ntwo\n"
_CHAPTERS = ";FFMETADATA1\ntitle=A title\nartist=Somebody\n" + "".join(
    f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={end}\ntitle={name}\n"
    for start, end, name in ((0, 200, "One"), (200, 480, "Two"))
)


def _sounds(container: str, picture: str, *codecs: str) -> dict[str, str]:
    """Options for one source of each sound codec; options of its own may follow a codec's name."""
    options = f"-map 0:v -map 1:a {picture} -strict -2 -ac 2 -c:a"
    return {
        f"{container}-{codec.split()[0].replace('_', '-')}": f"{options} {codec}"
        for codec in codecs
    }


# Options of FFmpeg's program by source; the part before the hyphen is the container's extension.
# Input 2 is a subtitle, 3 a picture of its own, 4 chapters and words.
SOURCES: dict[str, str] = {
    **_sounds(
        "ts", _H264, "libmp3lame", "mp2", "ac3", "eac3", "dca", "aac", "s302m", "truehd", "libopus",
        "pcm_bluray",
    ),
    **_sounds("vob", _MPEG2, "pcm_dvd", "mp2", "ac3"),
    **_sounds(
        "mov", _PRORES, "pcm_s16le", "pcm_s24le", "pcm_s16be", "pcm_f32le", "pcm_mulaw", "pcm_alaw",
        "pcm_u8", "adpcm_ms", "adpcm_ima_qt", "alac", "aac", "ac3", "libmp3lame",
    ),
    **_sounds("mp4", _H264, "aac", "ac3", "eac3", "libmp3lame", "alac", "flac", "libopus"),
    **_sounds(
        "mkv", _H264, "flac", "libvorbis", "libopus", "pcm_s24le", "pcm_f32le", "ac3", "dca",
        "truehd", "libmp3lame", "alac", "wavpack", "tta",
    ),
    **_sounds(
        "avi", _MJPEG, "pcm_s16le", "pcm_mulaw", "adpcm_ms", "adpcm_ima_wav", "wmav2",
        "libmp3lame", "mp2", "ac3",
    ),
    **_sounds("wmv", "-c:v wmv2 -pix_fmt yuv420p", "wmav2"),
    **_sounds("webm", _VP9, "libopus", "libvorbis"),
    **_sounds("mxf", _MPEG2, "pcm_s16le -ac 1"),
    **_sounds("flv", _H264, "aac"),
    **_sounds("nut", "-c:v ffv1 -pix_fmt yuv420p", "pcm_s16be"),
    "ts-latm": f"-map 0:v -map 1:a {_H264} -c:a aac -mpegts_flags +latm",
    "mkv-srt": f"-map 0:v -map 2:s {_H264} -c:s srt -metadata:s:s language=fra",
    "mkv-ass": f"-map 0:v -map 2:s {_H264} -c:s ass",
    "mkv-webvtt": f"-map 0:v -map 2:s {_H264} -c:s webvtt",
    "mp4-mov-text": f"-map 0:v -map 2:s {_H264} -c:s mov_text",
    "mkv-font": f"-map 0:v {_H264} -attach font.ttf -metadata:s:t mimetype=font/ttf",
    "mov-timecode": f"-map 0:v {_PRORES} -timecode 01:02:03:04",
    "ts-two-pictures": f"-map 0:v -map 0:v -map 1:a {_H264} -c:a mp2",
    "mov-sound-longer": f"-map 0:v -map 1:a {_PRORES} -c:a pcm_s16le -af apad=pad_dur=0.5",
    "mov-sound-shorter": f"-map 0:v -map 1:a {_PRORES} -c:a pcm_s16le -af atrim=end=0.2",
    "mov-timescale-600": f"-map 0:v -map 1:a {_H264} -video_track_timescale 600 -c:a aac",
    "ts-one-frame": f"-map 0:v -map 1:a {_H264} -frames:v 1 -c:a mp2",
    "mkv-sound-later": f"-map 0:v {_H264} {_AAC} -af asetpts=PTS+0.13/TB",
    "mkv-sound-with-a-hole": f"-map 0:v {_H264} {_AAC} -af aselect=not(between(t\\,0.15\\,0.25))",
    "mp4-picture-later": f"-map 0:v {_H264} {_AAC} -vf setpts=PTS+0.13/TB",
    "mp4-uneven": f"-map 0:v {_H264} {_AAC} -vf setpts=N*0.04/TB+mod(N\\,3)*0.005/TB -vsync vfr",
    "mkv-ntsc": f"-map 0:v {_H264} {_AAC} -vf fps=30000/1001",
    "mkv-chapters": f"-map 0:v {_H264} {_AAC} -map_metadata 4 -map_chapters 4",
    "mp4-chapters": f"-map 0:v {_H264} {_AAC} -map_metadata 4 -map_chapters 4",
    "mkv-two-languages": f"-map 0:v {_H264} {_AAC} {_AAC} -metadata:s:a:0 language=eng"
    " -metadata:s:a:1 language=deu -metadata:s:a:1 title=Kommentar -disposition:a:1 comment",
    "mkv-forced": f"-map 0:v -map 2:s {_H264} -c:s srt -disposition:s:0 forced",
    "mkv-5.1": f"-map 0:v {_H264} -map 1:a -c:a ac3 -ac 6",
    "mov-16-channels": f"-map 0:v {_PRORES} -map 1:a -c:a pcm_s24le -af pan=hexadecagonal|"
    + "|".join(f"c{n}=c0" for n in range(16)),
    "mov-44100": f"-map 0:v {_PRORES} -map 1:a -c:a pcm_s16le -ar 44100",
    "mp4-cover": f"-map 0:v {_H264} {_AAC} -map 3:v -c:v:1 png -disposition:v:1 attached_pic",
    "mp4-rotated": f"-map 0:v {_H264} {_AAC} -metadata:s:v rotate=90",
    "mp4-anamorphic": f"-map 0:v {_H264} {_AAC} -vf setsar=64/45",
    "mp4-pq": f"-map 0:v {_HEVC}:hdr10=1:max-cll=1000,400:{_MASTERING} {_PQ}",
    "mov-pq": f"-map 0:v {_PRORES} {_PQ}",
    "mov-interlaced": f"-map 0:v {_PRORES} -vf setfield=tff -flags +ildct -top 1",
    "mkv-interlaced": f"-map 0:v {_H264} -x264-params bff=1 -vf setfield=bff -flags +ilme",
    "mkv-full-range": f"-map 0:v {_H264} -color_range pc -vf scale=out_range=pc",
}  # fmt: skip


def make(name: str, folder: Path) -> Path:
    """Make a source.

    Raises:
        subprocess.CalledProcessError: FFmpeg cannot.
    """
    (folder / "words.srt").write_text(_SUBTITLES)
    (folder / "chapters.txt").write_text(_CHAPTERS)
    (folder / "font.ttf").write_bytes(bytes(range(256)))
    _run(folder, "-f", "lavfi", "-i", "testsrc2=s=32x32", "-frames:v", "1", "cover.png")
    path = folder / f"{name}.{name.partition('-')[0]}"
    inputs = [*_INPUTS, "-i", "words.srt", "-i", "cover.png", "-i", "chapters.txt"]
    wanted = "-map_metadata" in SOURCES[name]
    without = [] if wanted else ["-map_metadata", "-1", "-map_chapters", "-1"]
    _run(folder, *inputs, *without, *SOURCES[name].split(), "-threads", "1", path.name)
    return path


def _run(folder: Path, *options: str) -> None:
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", *options],
        check=True, capture_output=True, cwd=folder, stdin=subprocess.DEVNULL,
    )  # fmt: skip
