"""Movie files, by PyAV: index, decoding, encoders, containers, what is beside the picture."""
