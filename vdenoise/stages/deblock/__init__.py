"""The slot ``deblock``: what goes before all others."""
