"""Put a film-grain table's numbers into an AV1 stream, to see what a decoder draws from them.

No encoder in PyAV's build reads a table, so the grain that SVT-AV1 wrote into its frame headers is
exchanged for ours. FFmpeg's ``trace_headers`` tells at which bit it begins and ends; it is the last
thing in a frame header (AV1 specification 5.9.2, 5.9.30).
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import torch
from av.bitstream import BitStreamFilterContext
from torch import Tensor
from torch.nn import functional

from vdenoise.filmgrain.fit import NEIGHBORS
from vdenoise.filmgrain.params import LAG, GrainParams
from vdenoise.media.movie.encoder import open_encoder
from vdenoise.picture.random_at import normal
from vdenoise.stages.grain.field import bell, filter_for, filtered

SIZE = (256, 192)
_LINE = re.compile(r"^(\d+)\s+(\S+)\s+([01]+) = -?\d+$")


def field_of(size: float, height: int, width: int, *words: int) -> Tensor:
    """(height, width) of variance 1: grains of this standard deviation, in pixels."""
    white = normal(range(height + 16), range(width + 16), *words)
    return filtered(white, filter_for(bell(size)))


def drawn(filters: Sequence[Sequence[int]], shift: int, size: int = 128) -> list[Tensor]:
    """Fields (size, size), luma (2 size, 2 size), that a decoder would draw for 4:2:0, in units of
    its white noise."""
    luma: Tensor | None = None
    found = []
    for n, taps in enumerate(filters):
        edge = range((size if n else 2 * size) + 2 * LAG)
        white = normal(edge, edge, 0, 0, n).double()
        weights = torch.tensor(taps[: len(NEIGHBORS)], dtype=torch.float64) / 2**shift
        if n and luma is not None:
            below = functional.avg_pool2d(luma[None, None], 2)[0, 0]
            white[LAG:-LAG, LAG:-LAG] += below * (taps[-1] / 2**shift)
        plane = _recursive(white, weights)[LAG:-LAG, LAG:-LAG]
        luma = plane if n == 0 else luma
        found.append(plane)
    return found


def _recursive(white: Tensor, weights: Tensor) -> Tensor:
    """The autoregressive filter: each pixel plus its weighted neighbors before it."""
    values = white.numpy().copy()
    taps = [(y, x, w) for (y, x), w in zip(NEIGHBORS, weights.tolist(), strict=True)]
    above = [(y, x, w) for y, x, w in taps if y < 0]
    before = [(x, w) for y, x, w in taps if y == 0]
    height, width = values.shape
    for row in range(LAG, height):
        line = values[row]
        for y, x, w in above:
            line[LAG : width - LAG] += w * values[row + y, LAG + x : width - LAG + x]
        for column in range(LAG, width - LAG):
            line[column] += sum(w * line[column + x] for x, w in before)
    return torch.from_numpy(values)


def grain_bits(params: GrainParams, seed: int, inter: bool) -> str:
    """``film_grain_params()`` as bits."""

    def u(value: int, bits: int) -> str:
        return format(value, f"0{bits}b")

    out = "1" + u(seed, 16) + "1" * inter
    luma, *chroma = params.scaling
    out += u(len(luma), 4) + "".join(u(x, 8) + u(y, 8) for x, y in luma) + "0"
    for points in chroma:
        out += u(len(points), 4) + "".join(u(x, 8) + u(y, 8) for x, y in points)
    out += u(params.scaling_shift - 8, 2) + u(LAG, 2)
    for points, taps in zip(params.scaling, params.filters, strict=True):
        out += "".join(u(tap + 128, 8) for tap in taps) if points else ""
    out += u(params.filter_shift - 6, 2) + u(params.grain_shift, 2)
    for points in chroma:
        out += (u(128, 8) + u(192, 8) + u(256, 9)) if points else ""
    return out + "10"


def drawn_by_the_decoder(params: GrainParams, level: int, folder: Path) -> list[Tensor]:
    """Y, Cb and Cr (T, h, w) of the grain that dav1d draws on a gray of this level, in codes."""
    stream = io.BytesIO(_with_grain(_encoded(level, folder), params))
    grainy, plain = _decoded(stream, {}), _decoded(stream, {"export_side_data": "film_grain"})
    return [a - b for a, b in zip(grainy, plain, strict=True)]


def _encoded(level: int, folder: Path) -> Path:
    path = folder / "gray.obu"
    options = {"preset": "10", "crf": "20", "svtav1-params": "film-grain=20:film-grain-denoise=0"}
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", format="obu") as output:
        stream = output.add_stream("libsvtav1", rate=25, options=options)
        stream.width, stream.height = SIZE  # type: ignore[attr-defined]
        stream.pix_fmt = "yuv420p"  # type: ignore[attr-defined]
        open_encoder(stream.codec_context)  # type: ignore[arg-type]
        for _ in range(4):
            frame = av.VideoFrame(*SIZE, "yuv420p")
            for n, plane in enumerate(frame.planes):
                noise = rng.normal(128 if n else level, 4, (plane.height, plane.line_size))
                plane.update(np.clip(noise, 0, 255).astype(np.uint8).tobytes())
            output.mux(stream.encode(frame))  # type: ignore[attr-defined]
        output.mux(stream.encode())  # type: ignore[attr-defined]
    return path


def _with_grain(path: Path, params: GrainParams) -> bytes:
    result = b""
    previous = av.logging.get_level()
    av.logging.set_level(av.logging.TRACE)
    try:
        with av.open(str(path)) as source:
            trace = BitStreamFilterContext("trace_headers", source.streams.video[0])
            for number, packet in enumerate(source.demux(video=0)):
                if packet.size:
                    with av.logging.Capture() as logs:
                        data = bytes(packet)
                        trace.filter(packet)
                    result += _patched(data, "".join(line[2] for line in logs), params, number)
    finally:
        av.logging.set_level(previous)
    return result


def _patched(data: bytes, trace: str, params: GrainParams, number: int) -> bytes:
    headers = trace.split("OBU header\n")[1:]
    obus = _obus(data)
    assert len(headers) >= len(obus), "every OBU was traced"
    headers = headers[-len(obus) :]  # the sequence header of the container comes before
    out = b""
    for obu, header in zip(obus, headers, strict=True):
        found = {
            match[2]: (int(match[1]), match[3])
            for line in header.split("\n")
            if (match := _LINE.match(line.strip()))
        }
        if "clip_to_restricted_range" in found:
            start, end = found["apply_grain"][0], found["clip_to_restricted_range"][0] + 1
            bits = "".join(format(byte, "08b") for byte in obu)
            new = bits[:start] + grain_bits(params, 1000 + number, "update_grain" in found)
            new += "0" * (-len(new) % 8) + bits[end + -end % 8 :]
            obu = int(new, 2).to_bytes(len(new) // 8, "big")
        size_at = 2 if obu[0] & 4 else 1
        payload = obu[size_at + _leb(obu[size_at:])[1] :]
        out += obu[:size_at] + _as_leb(len(payload)) + payload
    return out


def _obus(data: bytes) -> list[bytes]:
    found = []
    while data:
        size_at = 2 if data[0] & 4 else 1
        size, width = _leb(data[size_at:])
        found.append(data[: size_at + width + size])
        data = data[size_at + width + size :]
    return found


def _leb(data: bytes) -> tuple[int, int]:
    value = 0
    for n, byte in enumerate(data):
        value |= (byte & 127) << 7 * n
        if not byte & 128:
            return value, n + 1
    raise AssertionError("no end of a number")


def _as_leb(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _decoded(stream: io.BytesIO, options: dict[str, str]) -> list[Tensor]:
    stream.seek(0)
    planes: list[list[Tensor]] = [[], [], []]
    with av.open(stream, format="obu") as source:
        video = source.streams.video[0]
        assert video.codec_context.codec.name == "libdav1d"
        video.codec_context.options = options
        for frame in source.decode(video):
            for n, plane in enumerate(frame.planes):
                codes = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                planes[n].append(torch.from_numpy(codes[:, : plane.width].astype(np.float32)))
    return [torch.stack(each) for each in planes]
