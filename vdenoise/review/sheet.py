"""A contact sheet: rows of pictures with what they show and why they were chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vdenoise.engine.tiles import Area
from vdenoise.media.images.drawing import Canvas, Color, draw_text, text_width
from vdenoise.review.display import Picture
from vdenoise.review.views import Cell

PAPER: Color = (24, 24, 27)
INK: Color = (236, 236, 240)
FAINT: Color = (160, 160, 170)
ACCENT: Color = (255, 179, 64)

MARGIN, GAP, CAPTION = 32, 14, 32  # pixels
SHEET_WIDTH = 2400  # pixels of the pictures of a line, together
OVERVIEW = 288  # pixels across
_WORDS = 240  # pixels, as wide as a caption may be below a smaller picture
_TITLE, _TEXT, _SMALL = 32, 22, 18  # pixels, heights of letters


@dataclass(frozen=True, eq=False)
class Row:
    """One place: where it is, why it was chosen, and what is seen there."""

    title: str
    detail: str
    overview: Picture  # the whole frame, from `overview_of`
    cells: Sequence[Cell]


def overview_of(picture: Picture, area: Area) -> Picture:
    """A whole frame as small as a row shows it, with a frame around the part that is shown."""
    height, width = picture.shape[:2]
    times = min(OVERVIEW / width, 1.4 * OVERVIEW / height)
    size = (max(1, round(times * width)), max(1, round(times * height)))
    small = np.ascontiguousarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    corners = [(area.left, area.top), (area.right, area.bottom)]
    (x, y), (right, bottom) = ((round(a * times), round(b * times)) for a, b in corners)
    cv2.rectangle(small, (x, y), (right - 1, bottom - 1), ACCENT, 2)
    return np.asarray(small, np.uint8)


def enlarged(picture: Picture, times: int) -> Picture:
    """Each pixel as a square: nothing is made up between them."""
    return np.repeat(np.repeat(picture, times, axis=0), times, axis=1)


def sheet(title: str, lines: Sequence[str], rows: Sequence[Row]) -> Canvas:
    """Draw a sheet.

    Args:
        title: of the whole.
        lines: what is said below it.
        rows: from top to bottom; the cells of all have one size.
    """
    lined = [lines_of_cells(row.cells) for row in rows]
    widest = max(_line_size(line)[1] for of_row in lined for line in of_row)
    width = 2 * MARGIN + OVERVIEW + GAP + widest
    texts = [(title, _TITLE, True), *((line, _TEXT, False) for line in lines)]
    width = max(width, 2 * MARGIN + max(text_width(t, s, bold=b) for t, s, b in texts))
    head = MARGIN + _TITLE + 10 + (_TEXT + 8) * len(lines) + 14
    heights = [_height(row, of_row) for row, of_row in zip(rows, lined, strict=True)]
    canvas = np.empty((head + sum(heights) + MARGIN, width, 3), np.uint8)
    canvas[:] = PAPER
    y = MARGIN + _TITLE - 4
    draw_text(canvas[: y + 12], (MARGIN, y), title, _TITLE, INK, bold=True)
    for line in lines:
        y += _TEXT + 8
        _line(canvas, (MARGIN, y), line, _TEXT, FAINT)
    y = head
    for row, of_row, height in zip(rows, lined, heights, strict=True):
        _draw_row(canvas[y : y + height], row, of_row)
        y += height
    return canvas


def lines_of_cells(cells_: Sequence[Cell]) -> list[list[Cell]]:
    """Put pictures in lines that are not wider than a sheet, one at least in each."""
    lines: list[list[Cell]] = []
    for cell in cells_:
        if not lines or _line_size([*lines[-1], cell])[1] > SHEET_WIDTH:
            lines.append([])
        lines[-1].append(cell)
    return lines


def strip(cells_: Sequence[Cell]) -> Canvas:
    """Pictures side by side with their captions, for a frame of a movie."""
    height, width = _line_size(cells_)
    canvas = np.empty((height + height % 2, width + width % 2, 3), np.uint8)
    canvas[:] = PAPER
    _draw_cells(canvas, 0, 0, cells_)
    return canvas


def _line_size(cells_: Sequence[Cell]) -> tuple[int, int]:
    """Height and width of pictures side by side with their captions."""
    height = max(int(c.picture.shape[0]) for c in cells_) + CAPTION
    return height, sum(map(_width, cells_)) + GAP * (len(cells_) - 1)


def _width(cell: Cell) -> int:
    """Width of a picture, or of its caption where that is wider, as far as it may be."""
    return max(int(cell.picture.shape[1]), min(text_width(cell.caption, _SMALL), _WORDS))


def _height(row: Row, lines: Sequence[Sequence[Cell]]) -> int:
    label = sum((_TEXT if bold else _SMALL) + 6 for _, bold in _label(row))
    label += GAP + row.overview.shape[0]
    return int(max(label, sum(_line_size(line)[0] for line in lines))) + 3 * GAP


def _label(row: Row) -> list[tuple[str, bool]]:
    """What stands beside the pictures: the reason, in bold, then where it is."""
    bold = [(line, True) for line in _wrapped(row.title, OVERVIEW, _TEXT, bold=True)]
    return bold + [(line, False) for line in _wrapped(row.detail, OVERVIEW, _SMALL, bold=False)]


def _wrapped(text: str, width: int, size: int, *, bold: bool) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, bold=bold) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _draw_row(canvas: Canvas, row: Row, lines: Sequence[Sequence[Cell]]) -> None:
    canvas[0, MARGIN:-MARGIN] = (52, 52, 58)
    y = GAP + _TEXT
    for text, bold in _label(row):
        size = _TEXT if bold else _SMALL
        _line(canvas, (MARGIN, y), text, size, INK if bold else FAINT, bold=bold)
        y += size + 6
    y += 2
    high, wide = row.overview.shape[:2]
    canvas[y : y + high, MARGIN : MARGIN + wide] = row.overview
    y = 2 * GAP
    for line in lines:
        _draw_cells(canvas, MARGIN + OVERVIEW + GAP, y, line)
        y += _line_size(line)[0]


def _draw_cells(canvas: Canvas, x: int, y: int, cells_: Sequence[Cell]) -> None:
    for cell in cells_:
        height, width = cell.picture.shape[:2]
        canvas[y : y + height, x : x + width] = cell.picture
        text = cell.caption
        room = _width(cell)
        while text_width(text, _SMALL) > room and len(text) > 4:
            text = text[:-2].rstrip(".") + "."
        _line(canvas, (x, y + height + CAPTION - 8), text, _SMALL, FAINT)
        x += room + GAP


def _line(
    canvas: Canvas,
    place: tuple[int, int],
    text: str,
    size: int,
    color: Color,
    *,
    bold: bool = False,
) -> None:
    """Write a line; only the part of the canvas that it takes is touched."""
    x, y = place
    band = canvas[max(y - size - 4, 0) : y + size // 2, x:]
    part = np.ascontiguousarray(band)
    draw_text(part, (0, y - max(y - size - 4, 0)), text, size, color, bold=bold)
    band[:] = part
