"""Masks: where the denoiser works, and how hard. `docs/masks.md` is the user's page."""
