"""Words that options choose among: what the command line offers and what others obey.

Nothing heavy is imported here, so that ``--help`` can list them.
"""

from __future__ import annotations

from typing import Literal

# What a gap in a sequence of images, or a damaged frame, is to a run
OnMissing = Literal["refuse", "skip", "hold"]
OnBadFrame = Literal["fail", "repeat"]
# What is done with frames that may hold two fields; auto is fields where they do
Interlaced = Literal["auto", "fields", "deinterlace", "ignore", "refuse"]
# How samples stand for light
EncodingName = Literal[
    "slog3", "vlog", "logc3", "logc4", "clog", "cineon", "acescct", "pq", "hlg", "linear"
]
# When a result is dithered before it is rounded
Dither = Literal["auto", "on", "off"]
# Maps of frames that can be looked at or written as a clip: what --matte shows, and the masks
Matte = Literal["confidence", "color", "structure", "ghost", "dust", "invented", "uncertainty"]
ViewKind = Literal["mask", Matte]
# What a preview shows of a frame
PreviewView = Literal["side", "split", "wipe", "noise", "matte", "mask", "stages"]
# How progress is told
ProgressStyle = Literal["auto", "bar", "plain", "json", "openjd", "none"]
# How the clips of an evaluation are stored
EvaluationForm = Literal["float", "8bit", "420"]
