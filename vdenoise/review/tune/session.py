"""What the page shows: regions of frames before and after, by the plan of a run."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from vdenoise.chain.resolve import idle
from vdenoise.engine.tiles import Area
from vdenoise.errors import UsageError
from vdenoise.picture.frame import ClipInfo
from vdenoise.review.decoded import Decoded
from vdenoise.review.display import (
    Picture,
    around,
    noise_gain,
    removed,
    rgb_float,
    rgb_within,
    shown,
)
from vdenoise.review.excerpts import Excerpts, excerpt_plan
from vdenoise.review.positions import frame_at, place_text
from vdenoise.review.spots import Spot
from vdenoise.review.survey import Survey, survey
from vdenoise.review.tune.newest import Newest
from vdenoise.review.tune.settings import Base, Settings
from vdenoise.review.turning import as_held, as_seen, seen_size, upright
from vdenoise.workflows.prepare import Listener
from vdenoise.workflows.propose import overall

WINDOW = (540, 960)  # height and width of the region that is shown first, luma pixels
SMALLEST = 16  # luma pixels each way of a region
_OVERVIEW = 640  # pixels across of a whole frame, shown small
_KEPT_SOURCES = 12  # regions as they were, that are kept for another look


@dataclass(frozen=True, eq=False)
class RegionLook:
    """A region before and after.

    Attributes:
        source, result, noise: (H, W, 3) as people see them.
        box: left, top, width and height of it, as people see the picture.
        region: the same in the clip's own columns and rows, as ``--region`` has it.
        seconds: that it took.
    """

    source: Picture
    result: Picture
    noise: Picture
    box: tuple[int, int, int, int]
    region: str
    seconds: float


class Session:
    """One clip on the page. Methods may be called from several threads.

    Args:
        base: what the command line said.
        info: the clip.
        output: where the next run of it goes.
        listener: told of every frame that is looked at, and what was found.

    Raises:
        InputError: the clip cannot be read.
        UsageError: something that was said cannot be done.
    """

    def __init__(
        self, base: Base, info: ClipInfo, output: Callable[[], Path], listener: Listener
    ) -> None:
        self.base, self.info, self._output = base, info, output
        self._decoded = Decoded(base.request.reading, info)
        found = survey(self._decoded, base.request.known, WINDOW, listener)
        for note in found.notes:
            listener.note(note)
        self._excerpts = Excerpts(self._decoded, found)
        self._sources: dict[tuple[int, Area], torch.Tensor] = {}
        self.noise = overall(found.profile, info.frames or 1)
        self.gain = noise_gain(self.noise.luma_codes / 255)
        self.newest = Newest()

    @property
    def survey(self) -> Survey:
        """What is known of the clip so far."""
        return self._excerpts.survey

    @property
    def output(self) -> Path:
        """Where the next run goes."""
        return self._output()

    @property
    def spots(self) -> tuple[Spot, ...]:
        """Where it is hard to denoise."""
        return self.survey.spots

    def told(self, settings: Settings) -> dict[str, Any]:
        """What settings come to, for the page.

        Returns:
            ``values`` of every parameter, the slots that are ``on`` and those of the preset alone
            (``base``), the ``chain`` and the ``command`` as texts, and ``notes`` on what does
            nothing.

        Raises:
            UsageError: a name or a value is not accepted.
        """
        chain = self.survey.chain(self.base.chain(settings))
        plain = replace(self.base.chain(settings), layers=())
        values = {k: _typed(v) for k, v in chain.parameters().items() if not isinstance(v, dict)}
        return {
            "values": values,
            "speed": chain.speed,
            "on": {stage.slot: stage.method for stage in chain.stages},
            "base": {stage.slot: stage.method for stage in self.survey.chain(plain).stages},
            "chain": chain.text,
            "command": shlex.join(self.base.command(settings, self.output)),
            "notes": list(idle(chain, settings.values)),
        }

    def look(self, settings: Settings, frame: int, box: tuple[int, int, int, int]) -> RegionLook:
        """A region of a frame before and after, to the bit as a run writes it.

        Args:
            settings: how it is denoised.
            frame: its number, from 0.
            box: left, top, width and height as people see the picture; it is brought to even
                numbers, inside of the picture.

        Raises:
            Superseded: another look was asked for meanwhile.
            UsageError: a name or a value is not accepted, or there is no such frame.
            InputError: the clip cannot be read.
        """
        began = time.monotonic()
        self._check_frame(frame)
        request = self.base.run_request(settings)
        area = self._area(box)
        with self.newest.turn() as check, torch.inference_mode():
            plan = excerpt_plan(request, self.info, self.survey.chain(request.chain))
            fmt = plan.encode.pixel_format
            only = around(area, fmt, self.info)
            (seen,) = self._excerpts.looks(plan, (frame,), only=only, check=check)
            source = self._source(frame, area)
            result = rgb_within(seen.planes, fmt, self.info, area)
        pictures = shown(source), shown(result), removed(source, result, self.gain)
        source_seen, result_seen, noise_seen = (upright(one, self.info) for one in pictures)
        region = f"{area.left},{area.top},{area.right - area.left},{area.bottom - area.top}"
        return RegionLook(
            source_seen,
            result_seen,
            noise_seen,
            box_of(as_seen(area, self.info)),
            region,
            time.monotonic() - began,
        )

    def overview(self, frame: int) -> Picture:
        """A whole frame as it was, small, as people see it.

        Raises:
            UsageError: there is no such frame.
            InputError: the clip cannot be read.
        """
        self._check_frame(frame)
        with self.newest.between():
            (found,) = self._decoded.frames(frame, frame)
        whole = upright(shown(rgb_float(found.planes, self.info.format, self.info)), self.info)
        return small(whole, _OVERVIEW)

    def first_look(self, spot: Spot, width: int) -> Picture:
        """A spot as it was, small."""
        with self.newest.between():
            source = self._source(spot.frame, spot.area)
        return small(upright(shown(source), self.info), width)

    def frame_at(self, text: str) -> int:
        """The frame that is meant by ``12.5``, ``00:00:12.5`` or ``300f``.

        Raises:
            UsageError: it is no place in the clip.
        """
        return frame_at(self.info, text)

    def place(self, frame: int) -> str:
        """``frame 120, 00:00:04.800``."""
        return place_text(self.info, frame)

    def close(self) -> None:
        """End what is under way."""
        self.newest.close()

    def _check_frame(self, frame: int) -> None:
        if not 0 <= frame < self.info.readable:
            raise UsageError(
                f"The clip has the frames 0-{self.info.readable - 1}, not {frame}.",
                "Choose one of these.",
                number=20,
            )

    def _area(self, box: tuple[int, int, int, int]) -> Area:
        """What people see at ``box``, in the clip's rows and columns, at even places."""
        high, wide = seen_size(self.info)
        left, width = _within(box[0], box[2], wide)
        top, height = _within(box[1], box[3], high)
        held = as_held(Area(top, top + height, left, left + width), self.info)
        return Area(held.top // 2 * 2, held.bottom, held.left // 2 * 2, held.right)

    def _source(self, frame: int, area: Area) -> torch.Tensor:
        """(3, h, w) R'G'B' of a region as it was."""
        key = frame, area
        if key not in self._sources:
            (found,) = self._decoded.frames(frame, frame)
            self._sources[key] = rgb_within(found.planes, self.info.format, self.info, area)
            while len(self._sources) > _KEPT_SOURCES:
                del self._sources[next(iter(self._sources))]
        return self._sources[key]


def small(picture: Picture, width: int) -> Picture:
    """A picture no wider than ``width``."""
    if picture.shape[1] <= width:
        return picture
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)


def box_of(area: Area) -> tuple[int, int, int, int]:
    """Left, top, width and height."""
    return area.left, area.top, area.right - area.left, area.bottom - area.top


def _within(start: int, length: int, whole: int) -> tuple[int, int]:
    """An even start and an even length inside of ``whole``; all of it where that is small."""
    length = max(min(length, whole), min(SMALLEST, whole))
    if length < whole:
        length = length // 2 * 2
    return max(0, min(start, whole - length)) // 2 * 2, length


def _typed(value: Any) -> str | Mapping[str, Any]:
    """A value as it is typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(_number(part) for part in value) or "none"
    return _number(value)


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
