"""Measuring what was done to a clip."""
