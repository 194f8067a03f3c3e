"""The slot ``sharpen``."""
