"""x264 gives the same packets whatever lay in the memory that it is given."""

from __future__ import annotations

import subprocess
import sys

import pytest

_ENCODE = """
import ctypes, hashlib, sys
import av, numpy
from fractions import Fraction
from vdenoise.media.movie.opening import open_encoder

width, height, seed = map(int, sys.argv[1:])
chance = numpy.random.default_rng(seed)
library = ctypes.CDLL(None)
library.mallopt(-3, 8 << 20)  # as a run has it
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
places = [(library.malloc(n), n) for n in map(int, chance.integers(64, 200_000, 1500))]
for place, size in places:
    ctypes.memmove(place, chance.bytes(size), size)
for place, _ in places:
    library.free(place)

context = av.CodecContext.create("libx264", "w")
context.width, context.height, context.pix_fmt = width, height, "yuv420p"
context.framerate, context.time_base = 25, Fraction(1, 25)
context.options = {"crf": "18", "preset": "medium", "threads": "8"}
open_encoder(context)
digest, chance = hashlib.sha256(), numpy.random.default_rng(7)
picture = chance.integers(40, 200, (height * 3 // 2 + 40, width + 40))
for number in range(30):
    part = picture[number % 20 :, number % 17 :][: height * 3 // 2, :width]
    noisy = (part + chance.integers(-6, 7, part.shape)).clip(0, 255).astype("uint8")
    frame = av.VideoFrame.from_ndarray(noisy, "yuv420p")
    frame.pts = number
    for packet in context.encode(frame):
        digest.update(bytes(packet))
for packet in context.encode(None):
    digest.update(bytes(packet))
print(digest.hexdigest())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' memory cannot be told so")
@pytest.mark.parametrize("size", ["320 180", "320 176"])
def test_what_lay_in_memory_is_not_encoded(size: str) -> None:
    """Without `fill_memory` these were three results of four."""
    made = set()
    for seed in "123":
        words = [sys.executable, "-c", _ENCODE, *size.split(), seed]
        made.add(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    assert len(made) == 1
