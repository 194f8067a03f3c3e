"""Clean material and the examples made of it."""
