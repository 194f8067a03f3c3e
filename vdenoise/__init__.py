"""vdenoise: a command-line video denoiser for post-production, and what programs call.

What is public is in ``__all__``; see docs/api.md. It is imported when it is first used, so that
``import vdenoise`` takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vdenoise.chain.resolve import Chain
    from vdenoise.errors import VdenoiseError
    from vdenoise.picture.noise import NoiseProfile
    from vdenoise.workflows.api import DoneClip, denoise_clip, denoise_frames, measure

__version__ = "0.2.0"

__all__ = [
    "Chain",
    "DoneClip",
    "NoiseProfile",
    "VdenoiseError",
    "denoise_clip",
    "denoise_frames",
    "measure",
]

_PLACES = {
    "Chain": "chain.resolve",
    "NoiseProfile": "picture.noise",
    "DoneClip": "workflows.api",
    "VdenoiseError": "errors",
    "denoise_clip": "workflows.api",
    "denoise_frames": "workflows.api",
    "measure": "workflows.api",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
