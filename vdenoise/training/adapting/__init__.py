"""A network adapted to one clip: what it learns from, and the learning."""
