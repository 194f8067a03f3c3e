"""``python -m vdenoise``."""

from vdenoise.cli import main

if __name__ == "__main__":
    main()
