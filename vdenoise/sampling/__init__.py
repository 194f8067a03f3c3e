"""Drawing one of the pictures that could lie under noise: schedules of sigma, and samplers.

Pure functions over a denoiser D(x, sigma), with nothing of pictures in them. The schedulers of
diffusers and k-diffusion hold the same formulas, among models, pipelines and training that weigh
gigabytes: what is needed of them is two pages, held to closed forms by tests/sampling.
"""
