"""The slot ``detail``: what gives detail back."""
