"""``vdenoise tune``: a page on this machine for tuning a denoiser by eye."""
