"""The slot ``spatial``: noise taken from each frame by itself."""
