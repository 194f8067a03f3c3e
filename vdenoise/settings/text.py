"""How numbers and names are said to people."""

from __future__ import annotations


def is_text(name: str) -> bool:
    """Whether UTF-8 can hold it: names of files may be any bytes."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def counted(number: int, noun: str) -> str:
    """``1 frame``, ``2 frames``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
