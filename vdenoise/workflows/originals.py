"""The files that a result is made of, as they were before the work: it gets its name only while
they are what they were."""

from __future__ import annotations

import contextlib
import hashlib
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vdenoise.errors import ConflictError, InputError, VerifyError
from vdenoise.media.access import reading
from vdenoise.media.images.reader import changed
from vdenoise.media.inputs import display, passes, still_written
from vdenoise.picture.frame import ClipInfo
from vdenoise.workflows.contents import content, files_of, hashes

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class _Look:
    """What the system tells of a file without reading it. Its number is none of its content: some
    network mounts give a file another one whenever it is looked at."""

    size: int
    mtime_ns: int
    ctime_ns: int
    number: int = field(compare=False)


@dataclass(frozen=True)
class _Known:
    """A file before the work."""

    role: str  # to people; empty for a file of the clip
    look: _Look
    sha256: str
    crc32: int


class Originals:
    """Reads and remembers the clip and the files beside it.

    A file that was only touched, copied over itself or put in the place of its like is the same:
    where the system tells of a change, its bytes decide.

    Args:
        info: the clip. A pipe is none that could be looked at again.
        beside: other files that decide the result, by what they are to people.
        loaded: which of these were read whole before: what becomes of them decides nothing more.

    Raises:
        InputError: one cannot be read.
    """

    def __init__(
        self,
        info: ClipInfo,
        beside: Mapping[str, Sequence[Path]] | None = None,
        loaded: Collection[str] = (),
    ) -> None:
        self._info, self._loaded = info, frozenset(loaded)
        piped = passes(info.path)
        clip = [] if piped else files_of(info.path, info.sequence)
        beside = {} if beside is None else beside
        self._known: dict[Path, _Known] = {}
        for role, paths in {"": clip, **beside}.items():
            for path in (path for path in paths if path not in self._known):
                self._known[path] = _seen(path, role)
        digests = {path: known.sha256 for path, known in self._known.items()}
        with reading(display(info.path)):
            #: Of the clip as `content` tells it; empty for a pipe.
            self.clip = {} if piped else content(info.path, info.sequence, digests)
        #: SHA-256 of what is beside, by what it is.
        self.files = hashes(beside, digests)

    @property
    def checks(self) -> tuple[int, ...]:
        """CRC-32 of the file of each frame of a sequence, of a movie of its file or
        parts."""
        files = files_of(self._info.path, self._info.sequence)
        return tuple(self._known[path].crc32 for path in files)

    def see_unchanged(self) -> None:
        """See that every file holds what it held before the work.

        Raises:
            ConflictError: one holds something else.
            InputError: one is not there any more, or the clip goes on being written.
        """
        for path in self._known:
            self._see(path)

    def see_frame(self, position: int) -> None:
        """The same of the image that a frame of a sequence came from, before it is written."""
        if self._info.sequence is not None:
            self._see(self._info.sequence.source(position))

    @contextlib.contextmanager
    def explaining(self) -> Iterator[None]:
        """Where reading or checking fails because a file was changed under the work, say that."""
        try:
            yield
        except (InputError, VerifyError):
            self.see_unchanged()
            raise

    def _see(self, path: Path) -> None:
        before = self._known[path]
        if before.role in self._loaded:
            return
        with reading(str(path)):
            now = _look(path)
            if now == before.look:
                return
            if now.size == before.look.size and _digests(path)[0] == before.sha256:
                self._known[path] = replace(before, look=now)
                return
        if before.role:
            raise ConflictError(
                f"{before.role[0].upper()}{before.role[1:]} ({path}) was changed while it was "
                "being used.",
                "Run the same command again, with the file that is meant.",
                number=25,
            )
        movie = self._info.sequence is None
        if movie and now.number == before.look.number and now.size > before.look.size:
            grown = f"{before.look.size} bytes have become {now.size}"
            raise still_written(self._info.path, f"{grown} while it was read")
        raise changed(display(self._info.path), "it" if movie else path.name)


def _seen(path: Path, role: str) -> _Known:
    with reading(str(path)):
        look = _look(path)  # before its bytes: what changes while they are read is noticed later
        return _Known(role, look, *_digests(path))


def _look(path: Path) -> _Look:
    found = path.stat()
    return _Look(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _digests(path: Path) -> tuple[str, int]:
    """SHA-256 and CRC-32 of all bytes of a file, in one pass."""
    sha256, crc32 = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            sha256.update(block)
            crc32 = zlib.crc32(block, crc32)
    return sha256.hexdigest(), crc32
