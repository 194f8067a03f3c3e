"""The slot ``temporal``: noise averaged away along motion."""
