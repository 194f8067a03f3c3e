"""Everything printed: results on stdout, messages on stderr. ``NO_COLOR`` and ``TERM=dumb`` are
honored by rich.
"""

from vdenoise.ui.output import bug, error, facts, result, result_json, seen, table
from vdenoise.ui.reporter import Reporter

__all__ = ["Reporter", "bug", "error", "facts", "result", "result_json", "seen", "table"]
