"""Noise of known kind and strength put on clean pictures, to learn from and to be measured by."""
