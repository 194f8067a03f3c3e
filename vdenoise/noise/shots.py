"""Shots as a profile has them: what was not measured is taken from where it was, and said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from vdenoise.picture.noise import NoiseProfile, PlaneNoise, ShotNoise
from vdenoise.settings.text import counted

_CADENCE, _RULE = 4, 0.8  # pictures, and the share of them, that make a rule
NONE = 0.05  # of the strongest noise: less is none


def fill_unmeasured(
    shots: Sequence[ShotNoise | None], starts: Sequence[int], ends: Sequence[int]
) -> tuple[ShotNoise, ...]:
    """Give shots that nothing could be measured in the noise of the nearest one that could."""
    known = [i for i, s in enumerate(shots) if s is not None]
    found = []
    for i, shot in enumerate(shots):
        if shot is None and known:
            near = shots[min(known, key=lambda k: abs(k - i))]
            assert near is not None
            update = {
                "first": starts[i],
                "last": ends[i],
                "bars": (0, 0, 0, 0),
                "places": (),
                "still": "",
                "moments": (),
                "confidence": 0.3 * near.confidence,
                "reasons": ("too little to measure in this shot: taken from a shot nearby",),
            }
            shot = near.model_copy(update=update)
        found.append(shot or _nothing(starts[i], ends[i]))
    return tuple(found)


def _nothing(first: int, last: int) -> ShotNoise:
    zero = PlaneNoise.white(0.0)
    reasons = (
        "nothing in the picture can tell of noise: it is drawn, clipped, still or too small",
    )
    return ShotNoise(
        first=first,
        last=last,
        y=zero,
        cb=zero,
        cr=zero,
        confidence=0.0,
        reasons=reasons,
        measured_share=0.0,
    )


def cadence(repeats: Sequence[int], frames: int) -> str:
    """How pictures are held, in words; nothing where there is no rule in it.

    Args:
        repeats: frames that show the one before again, ascending.
        frames: of the clip.
    """
    again = set(repeats)
    new = [i for i in range(frames) if i not in again]
    held = [b - a for a, b in pairwise(new)]
    if len(held) < _CADENCE:
        return ""
    usual, count = Counter(held).most_common(1)[0]
    if usual > 1 and count >= _RULE * len(held):
        return f"each picture is shown for {usual} frames"
    turns = [(a, b) for a, b in pairwise(held) if {a, b} == {2, 3}]
    if len(turns) >= _RULE * (len(held) - 1):
        return "pictures are shown for 2 and 3 frames in turn, as telecine does (2:3)"
    places = [b - a for a, b in pairwise(repeats)]
    every, count = Counter(places).most_common(1)[0] if places else (0, 0)
    if every > 2 and count >= max(_RULE * len(places), _CADENCE - 1):
        return f"one frame in {every} is a repeat, as in a converted frame rate"
    return ""


def notes_on(profile: NoiseProfile, repeats: Sequence[int], frames: int) -> tuple[str, ...]:
    """What a person should know of the measurement."""
    notes = []
    if repeats:
        same = "repeats" if len(repeats) == 1 else "repeat"
        rule = cadence(repeats, frames)
        notes.append(
            f"{counted(len(repeats), 'frame')} {same} the frame before" + f": {rule}" * bool(rule)
        )
    if any(s.temporal_correlation > 0.3 for s in profile.shots):
        notes.append(
            "some of the noise stands still between frames: temporal filters see it as picture"
        )
    if any(s.places for s in profile.shots):
        quiet = min(min(min(row) for row in s.places) for s in profile.shots if s.places)
        least = "none in places" if quiet < NONE else f"{100 * quiet:.0f} % of the most in places"
        notes.append(f"noise differs over the picture ({least}): each part is cleaned as it needs")
    if any(s.moments for s in profile.shots):
        notes.append("noise changes inside a shot: each frame is cleaned as it needs")
    impulses = max((s.impulse_rate for s in profile.shots), default=0.0)
    if impulses > 1e-3:
        notes.append(
            f"{100 * impulses:.1f} % of the pixels stand out as dust, drop-outs and dead pixels "
            "do; if that is what they are, --spatial median takes them out"
        )
    return tuple(notes)
