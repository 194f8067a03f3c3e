"""Spots that a frame has and the frames beside it have not, of dust and of what is alive alike."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vdenoise.stages.dust.alignment import Mask, Plane

_EDGE = 0.4  # of the threshold: pixels of it that hang together with that one stand out as far
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spikes:
    """The spots of one frame that are brighter, or darker, than both frames beside it."""

    labels: NDArray[np.int32]  # (H, W), 0 is none
    numbers: NDArray[np.int64]  # of the spots in `labels`
    boxes: NDArray[np.int32]  # (N, 5) left, top, width, height, pixels
    centers: Numbers  # (N, 2) row, column
    contrast: Numbers  # (N,) mean by which they stand out

    @property
    def extents(self) -> NDArray[np.int32]:
        """(N,) the longer side of each."""
        longer: NDArray[np.int32] = self.boxes[:, 2:4].max(1)
        return longer

    def box(self, n: int, room: int) -> tuple[slice, slice]:
        """Rows and columns of the n-th, with room around it."""
        left, top, width, height = (int(v) for v in self.boxes[n, :4])
        rows, columns = self.labels.shape
        return (
            slice(max(0, top - room), min(rows, top + height + room)),
            slice(max(0, left - room), min(columns, left + width + room)),
        )

    def where(self, n: int, box: tuple[slice, slice]) -> Mask:
        """The pixels of the n-th in a box."""
        there: Mask = self.labels[box] == self.numbers[n]
        return there


def spikes(excess: Plane, bar: Plane) -> Spikes:
    """What stands out by more than a threshold, with what hangs together with it.

    Args:
        excess: (H, W) by how much each pixel lies beyond both others, from `beyond_both`.
        bar: (H, W) the threshold.
    """
    ratio = excess / bar
    count, labels, stats, centers = cv2.connectedComponentsWithStats(
        (ratio > _EDGE).astype(np.uint8), connectivity=8
    )
    inside = np.flatnonzero(labels)
    those = labels.ravel()[inside]
    peaks = np.zeros(count, np.float32)
    np.maximum.at(peaks, those.astype(np.intp), ratio.ravel()[inside])
    found = np.flatnonzero(peaks > 1)
    sums = np.bincount(those, excess.ravel()[inside], count)
    return Spikes(
        np.asarray(labels, np.int32),
        found,
        np.asarray(stats[found], np.int32),
        np.asarray(centers[found, ::-1], np.float64),
        sums[found] / stats[found, 4],
    )


def beyond_both(own: Plane, others: tuple[Plane, Plane]) -> Plane:
    """Measure by how much each pixel lies above both others (or, negative, below them). They are
    taken from 3 by 3 pixels, as motion is not exact."""
    kernel = np.ones((3, 3), np.uint8)
    high = np.maximum(*(cv2.dilate(other, kernel) for other in others))
    low = np.minimum(*(cv2.erode(other, kernel) for other in others))
    beyond = np.where(own > high, own - high, np.where(own < low, own - low, 0))
    return np.asarray(beyond, np.float32)
