"""What is in files that decide a result, or are one: hashes to compare them by later."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from vdenoise.engine.correction import Done
from vdenoise.media.access import reading
from vdenoise.media.parts import parts_of
from vdenoise.picture.frame import ImageSequence

EDGE_BYTES = 1 << 20  # hashed at each end of a file, and as much in between
IMAGE_EDGE_BYTES = 1 << 16  # the same for each image of a sequence
BETWEEN = 32  # places between the ends that are hashed


def fingerprint(path: Path, edge: int = EDGE_BYTES) -> dict[str, Any]:
    """Size, and SHA-256 of the first and last MiB and of one MiB in places between them; of a clip
    in parts those of each.

    All of a file of 3 MiB; beyond that quick on any size, and any re-encode shows.
    """
    whole, digest = 0, hashlib.sha256()
    for part in parts_of(path):
        size = part.stat().st_size
        with part.open("rb") as file:
            for start, length in _sampled(size, edge):
                file.seek(start)
                digest.update(file.read(length))
        whole += size
    return {"bytes": whole, "sha256_samples": digest.hexdigest()}


def _sampled(size: int, edge: int) -> list[tuple[int, int]]:
    """Offsets and lengths of what is hashed of a file."""
    if size <= 3 * edge:
        return [(0, size)]
    length = edge // BETWEEN
    room = (size - 2 * edge - length) / (BETWEEN - 1)
    between = [(edge + round(n * room), length) for n in range(BETWEEN)]
    return [(0, edge), *between, (size - edge, edge)]


def fingerprint_of(path: Path, sequence: ImageSequence | None) -> dict[str, Any]:
    """Fingerprint of a clip's file, or of all files of a sequence: name, size and edges of each."""
    if sequence is None:
        return fingerprint(path)
    digest, size = hashlib.sha256(), 0
    for file in files_of(path, sequence):
        found = fingerprint(file, IMAGE_EDGE_BYTES)
        digest.update(f"{file.name} {found['bytes']} {found['sha256_samples']}\n".encode())
        size += found["bytes"]
    count = len(sequence.numbers)
    return {"files": count, "bytes": size, "sha256_samples": digest.hexdigest()}


def files_of(path: Path, sequence: ImageSequence | None) -> list[Path]:
    """The file of a clip, its parts, or the files of a sequence, one for each frame."""
    if sequence is None:
        return list(parts_of(path))
    return [sequence.source(n) for n in range(len(sequence.numbers))]


def content(
    path: Path, sequence: ImageSequence | None, digests: Mapping[Path, str] | None = None
) -> dict[str, Any]:
    """All that is in a clip's file, or in the files of a sequence, for `is_same`: a fingerprint,
    SHA-256 of every byte, and a mark of when the files were last changed.

    Args:
        path: of the clip.
        sequence: its files, of a clip of images.
        digests: `sha256_of` the files, where they were read before.

    Raises:
        OSError: one cannot be read.
    """
    digest, known = hashlib.sha256(), digests or {}
    for file in files_of(path, sequence):
        found = known.get(file) or sha256_of(file)
        digest.update(f"{'' if sequence is None else file.name} {found}\n".encode())
    changed = _changed(path, sequence)
    told = {"sha256": digest.hexdigest(), "changed": changed}
    return {**fingerprint_of(path, sequence), **told}


def is_same(path: Path, sequence: ImageSequence | None, told: Mapping[str, Any]) -> bool:
    """Whether a clip holds what `content` once said: by its fingerprint, and where a file was
    touched since, by all of its bytes.

    Raises:
        OSError: a file cannot be read.
    """
    now = fingerprint_of(path, sequence)
    if any(told.get(key) != value for key, value in now.items()):
        return False
    if told.get("changed") == _changed(path, sequence):
        return True
    return bool(content(path, sequence)["sha256"] == told.get("sha256"))


def sha256_of(path: Path) -> str:
    """SHA-256 of all bytes of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes(
    files: Mapping[str, Sequence[Path]], digests: Mapping[Path, str] | None = None
) -> dict[str, str]:
    """SHA-256 of files, by what they are to people; several are hashed together.

    Args:
        files: them.
        digests: `sha256_of` those that were read before.

    Raises:
        InputError: one cannot be read.
    """
    found, known = {}, digests or {}
    for role, paths in files.items():
        digest = hashlib.sha256()
        for path in paths:
            with reading(str(path)):
                digest.update(f"{known.get(path) or sha256_of(path)}\n".encode())
        found[role] = digest.hexdigest()
    return found


def _changed(path: Path, sequence: ImageSequence | None) -> str:
    times = [file.stat().st_mtime_ns for file in files_of(path, sequence)]
    return hashlib.sha256(repr(times).encode()).hexdigest()


class FrameChecks:
    """CRC-32 of every frame as it is given to the encoder, in order."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def watch(self, done: Done) -> None:
        """Take the next frame (`vdenoise.engine.run.Watch`)."""
        self._found.append(frame_check(done[1]))

    @property
    def text(self) -> str:
        """Eight hexadecimal digits for each frame."""
        return "".join(self._found)


def frame_check(planes: Sequence[Tensor]) -> str:
    """CRC-32 of a frame's samples, eight hexadecimal digits."""
    check = 0
    for plane in planes:
        check = zlib.crc32(plane.contiguous().numpy().tobytes(), check)
    return f"{check:08x}"
