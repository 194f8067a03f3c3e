"""What belongs to luma together with the same of chroma, which a clip in gray has not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")


class Picture(NamedTuple, Generic[T]):
    """Luma and, where the clip has color, chroma: of tensors, of signals, of tables of noise.

    Chroma may be of another size than luma, and holds two planes (Cb, Cr) where luma holds one.
    """

    luma: T
    chroma: T | None = None

    @staticmethod
    def of(planes: Sequence[T]) -> Picture[T]:
        """Put luma, or luma and chroma, together again."""
        luma, *chroma = planes
        return Picture(luma, *chroma)

    @staticmethod
    def join(pictures: Sequence[Picture[T]], join: Callable[[list[T]], U]) -> Picture[U]:
        """Join the lumas of several pictures, and their chromas: all have one or none has."""
        chroma = [picture.chroma for picture in pictures if picture.chroma is not None]
        luma = join([picture.luma for picture in pictures])
        return Picture(luma, join(chroma) if chroma else None)

    @property
    def planes(self) -> tuple[T, ...]:
        """Parts in order: luma, then chroma where there is any."""
        return (self.luma,) if self.chroma is None else (self.luma, self.chroma)

    def map(self, change: Callable[[T], U]) -> Picture[U]:
        """Do the same to luma and to chroma."""
        return self.map_each(change, change)

    def map_each(self, luma: Callable[[T], U], chroma: Callable[[T], U]) -> Picture[U]:
        """Do one thing to luma and another to chroma, where there is any."""
        return Picture(luma(self.luma), None if self.chroma is None else chroma(self.chroma))

    def pair(self, other: Picture[U], change: Callable[[T, U], V]) -> Picture[V]:
        """Make one of two: of both lumas and, where this one has any, of both chromas."""
        luma = change(self.luma, other.luma)
        if self.chroma is None:
            return Picture(luma)
        assert other.chroma is not None, "the other picture lacks chroma"
        return Picture(luma, change(self.chroma, other.chroma))
