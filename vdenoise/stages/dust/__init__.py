"""The slot ``dust``: what lies on one frame."""
