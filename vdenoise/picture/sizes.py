"""Whole numbers of pixels."""

from __future__ import annotations


def round_up(value: int, multiple: int) -> int:
    """The next multiple that is not below ``value``."""
    return -(-value // multiple) * multiple
