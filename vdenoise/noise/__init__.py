"""Noise: what it is (profile), how it is measured (estimate), how it is made (synth)."""
