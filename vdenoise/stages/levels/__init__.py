"""The slot ``levels``: what noise did to the brightness of clipped pictures."""
