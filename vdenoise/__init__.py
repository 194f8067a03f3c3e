"""vdenoise: a command-line video denoiser for post-production."""

__version__ = "0.1.0"
