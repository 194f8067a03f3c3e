"""What is asked for of one clip, typed and complete: parsed by a command, carried out by others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vdenoise.chain.request import ChainRequest
from vdenoise.errors import UsageError
from vdenoise.motion.cuts import read_cuts
from vdenoise.picture.frame import ClipInfo
from vdenoise.picture.noise import NoiseProfile
from vdenoise.settings.choices import Dither, Matte, ViewKind
from vdenoise.workflows.measure import check_cuts, check_profile, profile_from_sigma
from vdenoise.workflows.reading import Reading

Cuts = Literal["auto", "off"] | Path
FrameRanges = Sequence[tuple[int, int, int]]  # first, last (included), step


@dataclass(frozen=True)
class Knowledge:
    """What is known of a clip beforehand: what is not is measured."""

    profile: Path | None = None  # noise measured before
    sigma: tuple[float, ...] | None = None  # noise by hand, in 8-bit codes: Y, or Y, Cb and Cr
    cuts: Cuts = "auto"

    def check(self, info: ClipInfo) -> None:
        """See that what is known fits the clip.

        Raises:
            UsageError: it does not, or a file of it cannot be read.
        """
        self.noise(info)
        self.first_frames(info)

    def noise(self, info: ClipInfo) -> NoiseProfile | None:
        """The noise that was given, None where it is to be measured.

        Raises:
            UsageError: it was given twice, or does not fit the clip.
        """
        if self.profile is not None and self.sigma is not None:
            raise UsageError(
                "--profile and --sigma both say how noisy the clip is.",
                "Use one of them.",
                number=53,
            )
        if self.profile is not None:
            profile = NoiseProfile.load(self.profile)
            check_profile(profile, info)
            own = Path(profile.source).name == info.path.name  # the folder may be mounted elsewhere
            return profile if own else profile.elsewhere()
        return None if self.sigma is None else profile_from_sigma(self.sigma, info)

    def first_frames(self, info: ClipInfo) -> tuple[int, ...] | None:
        """First frames of the shots but the first, None where they are to be found.

        Raises:
            UsageError: the list of cuts does not fit the clip.
        """
        if isinstance(self.cuts, Path):
            cuts = read_cuts(self.cuts)
            check_cuts(cuts, info)
            return cuts
        return None if self.cuts == "auto" else ()


@dataclass(frozen=True)
class ClipRequest:
    """One clip in, the same clip out without its noise: all that may be said of it."""

    reading: Reading
    chain: ChainRequest
    output: Path
    known: Knowledge = Knowledge()
    frames: FrameRanges | None = None  # counted from 0, or as images are numbered; None is all
    codec: str | None = None  # None is the source's
    crf: int | None = None
    bit_depth: int | None = None  # None is the source's
    dither: Dither = "auto"
    seed: int = 0  # of dither and grain
    strict: bool = False  # what cannot be kept is an error
    device: str = "auto"
    overwrite: bool | None = False  # None where a run in parts sees what is its own
    folders_later: bool = False  # folders of outputs are made by who asks, once all is checked
    noise_out: Path | None = None
    mask_out: Path | None = None
    matte_out: Path | None = None
    matte: Matte = "confidence"
    grain_table: Path | None = None
    write_cuts: Path | None = None

    @property
    def views(self) -> dict[ViewKind, Path]:
        """Where maps go that are written as clips, by kind.

        Raises:
            UsageError: a kind of matte was chosen, and nothing is to be written.
        """
        if self.matte != "confidence" and self.matte_out is None:
            raise UsageError(
                f"--matte {self.matte} says what --matte-out shows, and there is no --matte-out.",
                "Add --matte-out FILE.mkv.",
                number=67,
            )
        wanted: dict[ViewKind, Path | None] = {"mask": self.mask_out, self.matte: self.matte_out}
        return {kind: path for kind, path in wanted.items() if path is not None}

    @property
    def beside(self) -> dict[str, Path]:
        """What is written beside the output, by the name of its option."""
        wanted = {
            "--noise-out": self.noise_out,
            "--mask-out": self.mask_out,
            "--matte-out": self.matte_out,
        }
        return {name: path for name, path in wanted.items() if path is not None}
