"""The slot ``flicker``: light that changes from frame to frame."""
