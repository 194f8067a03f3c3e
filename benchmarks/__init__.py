"""Measurements of vdenoise against its peers. Not installed with it."""
