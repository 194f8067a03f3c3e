"""The slot ``grain``: what puts grain on top, and the fields that all of it draws from."""
