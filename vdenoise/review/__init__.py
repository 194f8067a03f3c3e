"""Looking at what a denoiser does, with the final pixels: a few frames, a clip beside another."""
