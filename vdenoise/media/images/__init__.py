"""Still images and sequences of them, by OpenImageIO."""
