"""The slot ``weave``: pictures that do not stand still in the gate."""
