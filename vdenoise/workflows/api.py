"""What a program calls in place of the command line: the same work, the same bits.

::

    from vdenoise import denoise_clip, denoise_frames, measure

    denoise_clip("noisy.mov", "clean.mov", preset="high-iso", settings={"temporal.radius": 4})
    clean = denoise_frames(noisy)              # (T, H, W, 3) uint8, uint16 or float32
    profile = measure("gray-card.mov")
    clean = denoise_frames(noisy, profile=profile)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vdenoise.chain.presets import load
from vdenoise.chain.request import ChainRequest
from vdenoise.chain.resolve import Chain, Layer
from vdenoise.engine.denoise import denoise
from vdenoise.engine.planning import plan_denoising
from vdenoise.engine.streams import Shots
from vdenoise.errors import UsageError
from vdenoise.media.movie.encoder import EncodeSettings
from vdenoise.picture.noise import NoiseProfile
from vdenoise.workflows import measure as measuring
from vdenoise.workflows.arrays import (
    Samples,
    array_of,
    check_encoding,
    check_frames,
    clip_of,
    source_frames,
)
from vdenoise.workflows.denoise_clip import denoise_clip as carried_out
from vdenoise.workflows.propose import propose
from vdenoise.workflows.reading import Reading
from vdenoise.workflows.request import ClipRequest, Knowledge


@dataclass(frozen=True)
class DoneClip:
    """What became of a clip."""

    output: Path
    frames: int
    chain: Chain  # that was run, with what the measurement changed in it
    profile: NoiseProfile
    notes: tuple[str, ...]  # what was found and said, for people


class _Silent:
    """Keeps what is said, and shows nothing."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def start(self, phase: str, frames: int, *, unit: str = "fps") -> None:
        """A pass begins."""

    def advance(self, busy: dict[str, float]) -> None:
        """A frame is done."""

    def note(self, text: str) -> None:
        """Something worth knowing."""
        self.notes.append(text)


def denoise_clip(
    source: Path | str,
    output: Path | str,
    *,
    preset: str = "auto",
    settings: Mapping[str, Any] | None = None,
    speed: str | None = None,
    profile: Path | str | None = None,
    sigma: Sequence[float] | None = None,
    encoding: str | None = None,
    device: str = "auto",
    codec: str | None = None,
    crf: int | None = None,
    overwrite: bool = False,
    strict: bool = False,
) -> DoneClip:
    """Denoise a clip from file to file, as ``vdenoise run`` does, with the recipe beside it.

    Args:
        source: a movie, or the pattern of an image sequence.
        output: where the clean clip goes; its suffix says the container.
        preset: a preset's name or file, with ``+light`` or ``+strong`` behind it or not.
        settings: values by name, as for ``--set``: ``{"temporal.radius": 4, "output.luma": 70}``.
        speed: ``veryfast`` to ``veryslow``; None is the preset's.
        profile: a file of noise measured before.
        sigma: the noise by hand, in 8-bit codes: one number, or three for Y', Cb and Cr.
        encoding: what samples stand for, where tags do not say: as for `denoise_frames`.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        codec: of the output; None is the source's.
        crf: quality of a lossy codec.
        overwrite: whether an output that exists is replaced.
        strict: whether what cannot be kept is an error.

    Raises:
        VdenoiseError: nothing is left under the output's name then. ``exit_code`` and ``code``
            are those of the command line.
    """
    request = ClipRequest(
        reading=Reading(Path(source), encoding=check_encoding(encoding)),
        chain=_asked(preset, settings, speed),
        output=Path(output),
        known=Knowledge(
            profile=None if profile is None else Path(profile),
            sigma=None if sigma is None else tuple(sigma),
        ),
        device=device,
        codec=codec,
        crf=crf,
        overwrite=overwrite,
        strict=strict,
    )
    listener = _Silent()
    typed = _typed(request, preset, settings, speed)
    prepared, result = carried_out(request, listener, command=typed)
    return DoneClip(
        Path(output), result.frames, prepared.plan.chain, prepared.profile, tuple(listener.notes)
    )


def measure(source: Path | str | Iterable[Samples], *, encoding: str | None = None) -> NoiseProfile:
    """Measure the noise of a clip, or of frames.

    Args:
        source: a file, or frames as for `denoise_frames`.
        encoding: what samples stand for, as for `denoise_frames`.

    Raises:
        InputError: it cannot be read, or holds no frame.
        UsageError: frames are not of one shape and kind.
    """
    if isinstance(source, str | Path):
        reading = Reading(Path(source), encoding=check_encoding(encoding))
        info = reading.probe()
        return measuring.measure(info, reading, _Silent()).profile
    frames = check_frames(source)
    info = clip_of(frames, encoding)
    return measuring.measure_frames(source_frames(frames), info).profile


def denoise_frames(
    frames: Iterable[Samples],
    *,
    preset: str = "auto",
    settings: Mapping[str, Any] | None = None,
    speed: str | None = None,
    profile: NoiseProfile | None = None,
    sigma: Sequence[float] | None = None,
    cuts: Sequence[int] | None = None,
    encoding: str | None = None,
    device: str = "auto",
    seed: int = 0,
) -> Samples:
    """Denoise frames in memory.

    Args:
        frames: (T, H, W, 3) R'G'B' or (T, H, W) gray of uint8, uint16 or float32 (nominally 0 to
            1), or any iterable of single ones.
        preset, settings, speed, device: as for `denoise_clip`.
        profile: noise measured before; None measures it.
        sigma: the noise by hand, in 8-bit codes: one number, or three for Y', Cb and Cr.
        cuts: first frames of all shots but the first; None finds them.
        encoding: what samples stand for, by a name of ``vdenoise run --encoding`` such as
            ``linear`` or ``slog3``: they are denoised where their noise is even.
        seed: of what is drawn at random, such as grain.

    Returns:
        The clean frames, (T, H, W, 3) or (T, H, W), of the same kind.

    Raises:
        InputError: there is no frame.
        UsageError: frames are not of one shape and kind, or a value is not accepted.
    """
    if profile is not None and sigma is not None:
        raise UsageError(
            "profile and sigma both say how noisy the frames are.", "Give one of them.", number=159
        )
    given = check_frames(frames)
    info = clip_of(given, encoding)
    asked = _asked(preset, settings, speed)
    sources = list(source_frames(given))
    if sigma is not None:
        profile = measuring.profile_from_sigma(sigma, info)
    found = measuring.measure_frames(sources, info, cuts=cuts)
    proposed = {} if profile is not None else propose(found.profile, info).values
    encode = EncodeSettings(
        container="", codec="", encoder="", pixel_format=info.format, coded_format=""
    )
    plan = plan_denoising(info, asked.after(proposed), Path(), encode, device=device, seed=seed)
    shots = Shots(len(given), found.cuts)
    done = denoise(sources, plan, profile or found.profile, shots)
    return np.stack([array_of(planes, info.format) for _, planes in done])


def _asked(preset: str, settings: Mapping[str, Any] | None, speed: str | None) -> ChainRequest:
    layers = () if not settings else (Layer("settings", dict(settings)),)
    return ChainRequest(load(preset), layers, speed)


def _typed(
    request: ClipRequest, preset: str, settings: Mapping[str, Any] | None, speed: str | None
) -> list[str]:
    """What to type for the same."""
    words = ["vdenoise", "run", str(request.reading.path), "-o", str(request.output)]
    words += ["--preset", preset]
    for name, value in (settings or {}).items():
        words += ["--set", f"{name}={value}"]
    sigma = request.known.sigma
    said = {
        "--speed": speed,
        "--profile": request.known.profile,
        "--sigma": None if sigma is None else ",".join(f"{s:g}" for s in sigma),
        "--encoding": request.reading.encoding,
        "--codec": request.codec,
        "--crf": request.crf,
    }
    for name, text in said.items():
        words += [] if text is None else [name, str(text)]
    return words
