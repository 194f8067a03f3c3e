"""What all of it promises: layers, stages, errors, options, docs, stored results."""
