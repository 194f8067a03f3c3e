"""Names of ITU-T H.273 code points, as FFmpeg writes them."""

from __future__ import annotations

from collections.abc import Mapping

PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
    9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
TRANSFERS = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear",
    9: "log100", 10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1",
    14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
MATRICES = {
    0: "rgb", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco",
    9: "bt2020nc", 10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc",
    13: "chroma-derived-c", 14: "ictcp",
}  # fmt: skip
UNKNOWN = "unknown"
_UNSPECIFIED = 2


def code_point(names: Mapping[int, str], name: str) -> int:
    """The number of a name; 2, unspecified, where it has none."""
    return next((number for number, found in names.items() if found == name), _UNSPECIFIED)


def usual_matrix(width: int, height: int) -> str:
    """What players take the matrix of a picture for, where nothing tells it: by its size."""
    return "bt709" if height >= 720 or width >= 1280 else "smpte170m"
