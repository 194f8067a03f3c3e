"""The slot ``lines``: rows and columns that are off."""
