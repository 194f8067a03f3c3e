"""Room on the disk for what a run writes: estimated before the first frame, refused where it cannot
be enough.

Sizes follow from the codec: exact where nothing is compressed, a maker's data rate where there is
one (Apple's for ProRes, Avid's for DNxHR, in bits per pixel), else what clean pictures have come
to. Sound and other streams are copied and count little beside the picture.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vdenoise.engine.plan import Plan
from vdenoise.errors import OutputError
from vdenoise.media.inputs import is_pipe
from vdenoise.media.movie.codecs import CODECS
from vdenoise.media.movie.encoder import IMAGES, EncodeSettings
from vdenoise.picture.frame import ClipInfo

_GB = 1e9
# Bits per pixel by the encoder's profile: the rate at 1920x1080 and 29.97 Hz over its pixels.
_PRORES = {"proxy": 0.72, "lt": 1.64, "standard": 2.37, "hq": 3.54, "4444": 5.3, "4444xq": 8.05}
_DNXHR = {"dnxhr_hq": 3.54, "dnxhr_hqx": 3.54, "dnxhr_444": 7.1}
_FORMULA_BITS = 0.5  # per pixel at the default CRF of x264, x265 and AV1; six steps halve it
_CRF_STEPS = 6
_PACKED = 0.5  # of a picture's bytes, where codecs without loss end up ...
_LEAST = 0.05  # of what is likely: pictures with hardly anything in them come so low


@dataclass(frozen=True)
class Size:
    """Bytes of what is to be written."""

    least: float
    likely: float

    def __add__(self, other: Size) -> Size:
        return Size(self.least + other.least, self.likely + other.likely)


def size_of(info: ClipInfo, encode: EncodeSettings, frames: int) -> Size:
    """About how many bytes frames take as they are written.

    Args:
        info: the clip.
        encode: how it is written.
        frames: how many.
    """
    pixels = info.width * info.height * frames
    fmt = encode.written
    chroma = {"gray": 0.0, "rgb": 2.0}.get(fmt.family, 2.0 / (1 << (fmt.sub_w + fmt.sub_h)))
    whole = pixels * (1 + chroma + fmt.alpha) * fmt.bits / 8
    options = encode.options
    packed = Size(_LEAST * _PACKED * whole, _PACKED * whole)
    if encode.container == IMAGES:
        plain = encode.codec == "dpx" or options.get("compression", "none") == "none"
        return Size(whole, whole) if plain and encode.codec != "png" else packed
    if encode.codec == "prores":
        size = _PRORES[options["profile"]] * pixels / 8
        return Size(_LEAST * size, size)
    if encode.codec == "dnxhr":
        size = _DNXHR[options["profile"]] * pixels / 8
        return Size(0.9 * size, size)
    if encode.codec in ("rawvideo", "v210", "y4m"):
        return Size(whole, whole)
    if encode.lossless or encode.crf is None:
        return packed
    default = CODECS[encode.codec].crf or encode.crf
    bits = _FORMULA_BITS * 2 ** ((default - encode.crf) / _CRF_STEPS)
    return Size(0, bits * pixels / 8)


def check_room(plan: Plan, *, parts: bool = False, there: int = 0) -> str | None:
    """See that what a run writes has room.

    Args:
        plan: of the run.
        parts: whether it keeps its parts until they are joined.
        there: bytes of them that are there already.

    Returns:
        A warning where it may be too little; None where there is enough, as far as is known.

    Raises:
        OutputError: it cannot be enough.
    """
    for folder, size in _by_disk(plan, parts=parts):
        free = shutil.disk_usage(folder).free + there
        if size.likely <= free:
            continue
        room = f"{folder} has room for {_amount(free)}"
        if size.least > free:
            raise OutputError(
                f"{room}, and the result takes at least {_amount(size.least)}, about "
                f"{_amount(size.likely)}.",
                "Free some room, or write to another disk, in another codec or fewer --frames.",
                number=19,
            )
        return f"{room}, and the result may take {_amount(size.likely)}"
    return None


def room_text(plan: Plan) -> str:
    """How much is written, and how much room there is: for people."""
    told = [
        f"about {_amount(size.likely)} of {_amount(shutil.disk_usage(folder).free)} free in "
        f"{folder}"
        for folder, size in _by_disk(plan, parts=False)
    ]
    return ", ".join(told) or "nothing"


def _by_disk(plan: Plan, *, parts: bool) -> Iterator[tuple[Path, Size]]:
    """A folder of each disk that is written to, and what goes there."""
    written = [(plan.output, plan.encode), *((view.path, view.encode) for view in plan.views)]
    if plan.noise_out is not None and plan.noise_encode is not None:
        written.append((plan.noise_out, plan.noise_encode))
    found: dict[int, tuple[Path, Size]] = {}
    for path, encode in written:
        if is_pipe(path) or (path.exists() and not path.is_file()):
            continue
        folder = path.absolute().parent
        while not folder.exists():
            folder = folder.parent
        size = size_of(plan.info, encode, len(plan.positions))
        if parts and encode.container != IMAGES:
            size += size if CODECS[encode.codec].intra else _kept(plan, encode)
        disk = folder.stat().st_dev
        before = found.get(disk, (folder, Size(0, 0)))
        found[disk] = before[0], before[1] + size
    yield from found.values()


def _kept(plan: Plan, encode: EncodeSettings) -> Size:
    """Parts without loss of what is encoded when they are joined."""
    kept = encode.model_copy(update={"codec": "ffv1", "lossless": True})
    return size_of(plan.info, kept, len(plan.positions))


def _amount(size: float) -> str:
    """Bytes for people, in units of disks: 12.3 GB, 850 MB."""
    return f"{size / _GB:.1f} GB" if size >= _GB else f"{size / 1e6:.0f} MB"
