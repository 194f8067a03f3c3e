"""A short clip of each container and codec family that is read and not written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

_SAMPLES = 7680  # of sound at 48 kHz: 4 pictures


@dataclass(frozen=True)
class Family:
    """How such a clip is made: by FFmpeg's own names."""

    name: str
    container: str
    codec: str
    pixels: str
    sound: str = ""
    size: tuple[int, int] = (64, 48)


FAMILIES = (
    Family("a.mpg", "mpeg", "mpeg2video", "yuv420p", "mp2"),
    Family("a.vob", "vob", "mpeg1video", "yuv420p", "mp2"),
    Family("mpeg2.ts", "mpegts", "mpeg2video", "yuv420p", "ac3"),
    Family("mpeg4.avi", "avi", "mpeg4", "yuv420p", "mp3"),
    Family("mjpeg.mov", "mov", "mjpeg", "yuvj420p", "pcm_s16le"),
    Family("a.dv", "dv", "dvvideo", "yuv420p", "pcm_s16le", (720, 576)),
    Family("a.gif", "gif", "gif", "rgb8"),
    Family("a.flv", "flv", "flv", "yuv420p", "mp3"),
    Family("a.ivf", "ivf", "vp8", "yuv420p"),
    Family("a.ogg", "ogg", "vp8", "yuv420p", "opus"),
    Family("a.wmv", "asf", "wmv2", "yuv420p", "mp3"),
    Family("a.265", "hevc", "libx265", "yuv420p"),
    Family("a.264", "h264", "libx264", "yuv420p"),
    Family("a.obu", "obu", "libsvtav1", "yuv420p"),
    Family("a.m4v", "m4v", "mpeg4", "yuv420p"),
    Family("a.mjpeg", "mjpeg", "mjpeg", "yuvj420p"),
    Family("a.rm", "rm", "rv20", "yuv420p", "ac3"),
    Family("a.gxf", "gxf", "mpeg2video", "yuv422p", size=(720, 576)),
    Family("a.apng", "apng", "apng", "rgba"),
    Family("a.3gp", "3gp", "h263", "yuv420p", "aac", (176, 144)),
    Family("cfhd.mov", "mov", "cfhd", "yuv422p10le"),
    Family("v210.mov", "mov", "v210", "yuv422p10le", "alac"),
    Family("qtrle.mov", "mov", "qtrle", "rgb24"),
    Family("png.mov", "mov", "png", "rgb24"),
    Family("prores4444.mov", "mov", "prores_ks", "yuva444p10le"),
    Family("huffyuv.avi", "avi", "huffyuv", "yuv422p", "pcm_s16le"),
    Family("utvideo.avi", "avi", "utvideo", "yuv420p"),
    Family("magicyuv.avi", "avi", "magicyuv", "yuv420p"),
    Family("cinepak.avi", "avi", "cinepak", "rgb24"),
    Family("zmbv.avi", "avi", "zmbv", "bgr0"),
    Family("msmpeg4.avi", "avi", "msmpeg4", "yuv420p"),
    Family("mpeg2.mxf", "mxf", "mpeg2video", "yuv422p", "pcm_s16le"),
    Family("jpeg2000.mkv", "matroska", "jpeg2000", "yuv420p", "opus"),
    Family("snow.mkv", "matroska", "snow", "yuv420p"),
    Family("eac3.mkv", "matroska", "libx264", "yuv420p", "eac3"),
    Family("flac.mkv", "matroska", "ffv1", "yuv420p10le", "flac"),
    Family("jpegls.nut", "nut", "jpegls", "rgb24", "pcm_s24le"),
)


def write(family: Family, folder: Path) -> Path:
    """Write four pictures of noise, with silence where the family has sound."""
    path = folder / family.name
    width, height = family.size
    with av.open(str(path), "w", format=family.container) as output:
        video = output.add_stream(family.codec, 25)
        video.width, video.height, video.pix_fmt = width, height, family.pixels
        sound = output.add_stream(family.sound, 48000) if family.sound else None
        for number in range(4):
            noise = np.random.default_rng(number).integers(90, 120, (height, width, 3))
            frame = av.VideoFrame.from_ndarray(noise.astype(np.uint8), "rgb24")
            frame = frame.reformat(format=family.pixels)
            frame.pts = number
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if sound is not None:
            wanted = sound.codec_context
            silence = np.zeros((1, _SAMPLES * wanted.layout.nb_channels), np.int16)
            given = av.AudioFrame.from_ndarray(silence, "s16", wanted.layout.name)
            given.sample_rate, given.pts = 48000, 0
            to = av.AudioResampler(wanted.format, wanted.layout, 48000, wanted.frame_size or None)
            for part in (*to.resample(given), *to.resample(None)):
                output.mux(sound.encode(part))
            output.mux(sound.encode(None))
    return path
