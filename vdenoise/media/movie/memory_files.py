"""Files that are none, to try what muxers do."""

from __future__ import annotations

import io
from typing import Any


class NullFile(io.RawIOBase):
    """A file that swallows what is written, to try a header."""

    def __init__(self) -> None:
        super().__init__()
        self._at = self._size = 0

    def writable(self) -> bool:
        """Whether it can be: yes."""
        return True

    def seekable(self) -> bool:
        """Whether it can be: yes."""
        return True

    def write(self, data: Any) -> int:
        """Count the bytes."""
        self._at += len(data)
        self._size = max(self._size, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move as in a real file."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """The position."""
        return self._at


class MemoryFile(io.BytesIO):
    """A file in memory that can be read after PyAV has closed what it wrote."""

    def close(self) -> None:
        """Stay open."""
