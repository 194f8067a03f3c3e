"""The values that flow and their arithmetic: frames, planes, colors, samples, noise profiles."""
