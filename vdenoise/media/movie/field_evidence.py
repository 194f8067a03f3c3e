"""Whether the frames of a movie hold two moments, by their pictures; flags are often wrong.

A field is compared with the fields of the other parity in its own frame, the one before and the one
after: lines between lines, so that what differs is detail, noise and motion. Detail and noise are
the same in all three, and motion grows with the time between:

* progressive: none within the frame, alike in the frames before and after;
* top field first: the bottom fields of this frame and the one before are as near in time, that of
  the next is three times as far; bottom field first the other way round.

Only blocks where something clearly moves are asked, and a cut is one frame among several.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vdenoise.errors import InputError
from vdenoise.machine.devices import see_room_for_threads
from vdenoise.media.movie.index import index_of
from vdenoise.media.reader import Reader
from vdenoise.picture.frame import ClipInfo

Scan = Literal["progressive", "tt", "bb"]

PLACES, LENGTH = 3, 5  # stretches of so many frames that are looked at
LONG = 1000  # frames
BLOCK = 16  # pixels and lines of a field
STANDS_OUT = 2.0  # times the least of the three energies: noise alone differs by 20 %
LEAST_BLOCKS = 4  # that move, or a frame tells nothing
LEAST_FRAMES = 3  # that tell the same, or the clip tells nothing
CLEAR = 0.5  # of the balance between before and after: -1 is top first, 0 progressive, 1 bottom
SOME, MOST = 0.3, 0.75  # of the frames that tell anything: a few may be cuts
HIGHEST, FASTEST = 1088, 31  # lines and frames per second that interlaced video has
FLOOR = (0.5 / 255) ** 2  # energy that counts as none


@dataclass(frozen=True)
class FieldVotes:
    """What frames that tell anything say."""

    progressive: int = 0
    top_first: int = 0
    bottom_first: int = 0

    @property
    def told(self) -> int:
        """Frames that tell anything."""
        return self.progressive + self.top_first + self.bottom_first

    @property
    def scan(self) -> Scan | None:
        """What they say together; None where they say too little or contradict each other."""
        told = self.told
        first = max(self.top_first, self.bottom_first)
        if first >= LEAST_FRAMES and first >= SOME * told:
            if min(self.top_first, self.bottom_first) > first / 4:
                return None
            return "tt" if first == self.top_first else "bb"
        if self.progressive >= LEAST_FRAMES and self.progressive >= MOST * told:
            return "progressive"
        return None


def may_hold_fields(info: ClipInfo) -> bool:
    """Whether a clip is of a kind that fields are found in."""
    return info.sequence is None and info.height <= HIGHEST and info.rate <= FASTEST


def look_for_fields(info: ClipInfo) -> FieldVotes:
    """Look at a few stretches of a movie, several at once. What cannot be decoded tells nothing."""
    count = info.readable
    length = min(LENGTH, count)
    starts = {round(n * (count - length) / max(PLACES - 1, 1)) for n in range(PLACES)}
    try:
        index = index_of(info)
    except InputError:  # the run will say so
        return FieldVotes()
    if count > LONG:  # where in a long clip does not matter
        starts = {index.soonest(start, length) for start in starts}
    together = _read_together(sorted(starts), length, index.keys)
    cores = torch.get_num_threads()
    threads = min(cores, len(together))
    see_room_for_threads(threads)
    try:
        with ThreadPoolExecutor(threads, "fields") as pool:
            found = pool.map(lambda group: _balances(info, group, length), together)
            return votes([balance for stretches in found for balance in stretches])
    finally:
        torch.set_num_threads(cores)  # threads that begin later are given what was set last


def _read_together(starts: Sequence[int], length: int, keys: Sequence[int]) -> list[list[int]]:
    """Stretches by reader: one that is decoded from a frame on that the one before it reads goes on
    from there. Decoding starts one keyframe before the one that it needs."""
    groups: list[list[int]] = []
    for start in starts:
        place = bisect_right(keys, start)
        begins = keys[max(place - 2, 0)] if keys else 0
        if groups and begins < groups[-1][-1] + length:
            groups[-1].append(start)
        else:
            groups.append([start])
    return groups


def _balances(info: ClipInfo, starts: Sequence[int], length: int) -> list[float]:
    """What the frames of stretches say that have one on either side; they are read in one go."""
    torch.set_num_threads(1)  # of this thread: stretches are shared out
    wanted = [range(start, start + length) for start in starts]
    lumas: list[list[Tensor]] = [[] for _ in wanted]
    try:
        with Reader(info, first=starts[0], last=wanted[-1][-1]) as reader:
            for frame in reader:
                for stretch, here in zip(wanted, lumas, strict=True):
                    if frame.index in stretch:
                        here.append(_luma(frame.planes[0], info))
    except InputError:  # the run will say so; what lies between stretches is nobody's loss here
        if len(starts) == 1:
            return []
        return [b for start in starts for b in _balances(info, [start], length)]
    found = [b for here in lumas for b in map(_balance, here, here[1:], here[2:])]
    return [balance for balance in found if balance is not None]


def votes(balances: Sequence[float]) -> FieldVotes:
    """Balances of frames, from -1 to 1, as what they speak for."""
    return FieldVotes(
        progressive=sum(abs(b) < CLEAR for b in balances),
        top_first=sum(b <= -CLEAR for b in balances),
        bottom_first=sum(b >= CLEAR for b in balances),
    )


def _luma(plane: Tensor, info: ClipInfo) -> Tensor:
    if info.format.floating:
        return plane.float()
    return plane.float().div_(float((1 << info.format.bits) - 1))


def _balance(before: Tensor, now: Tensor, after: Tensor) -> float | None:
    """Weigh the evidence, from -1 (top field first) over 0 (progressive) to 1 (bottom field
    first)."""
    height, width = now.shape
    if height < 2 * (BLOCK + 3) or width < BLOCK:  # interpolating takes three lines of a field
        return None
    # Four lines of the top field interpolate where the bottom field has a line
    lines = now[0::2]
    at_bottom = (lines[1:-2] + lines[2:-1]).mul_(9).sub_(lines[:-3]).sub_(lines[3:]).div_(16)
    energies = []
    for other in (before, now, after):
        bottom = other[1::2][1 : 1 + len(at_bottom)]
        energies.append(_blocks((bottom - at_bottom[: len(bottom)]).square_()))
    past, own, future = energies
    least = torch.minimum(past, torch.minimum(own, future)) + FLOOR
    moves = torch.maximum(past, future) > STANDS_OUT * least
    moves &= own < torch.maximum(past, future)
    if int(moves.sum()) < LEAST_BLOCKS:
        return None
    gains = [(other - own)[moves].clamp(min=0).sum().item() for other in (past, future)]
    total = sum(gains)
    return None if total <= 0 else (gains[0] - gains[1]) / total


def _blocks(energy: Tensor) -> Tensor:
    """Means of whole blocks: rows first, which a processor adds many at once (`avg_pool2d` takes
    ten times as long)."""
    down, across = (size // BLOCK for size in energy.shape)
    rows = energy[: down * BLOCK, : across * BLOCK].reshape(down, BLOCK, -1).sum(1)
    return rows.reshape(down, across, BLOCK).mean(2).div_(BLOCK)
