"""The command line: click groups and commands; torch and av are imported inside commands only."""


def main() -> None:
    """Entry point."""
    raise SystemExit("not built yet")
