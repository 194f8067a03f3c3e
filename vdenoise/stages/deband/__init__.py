"""The slot ``deband``: what smooths steps of few codes."""
