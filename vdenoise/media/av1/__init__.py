"""AV1 bitstreams, as far as grain parameters are put into their headers."""
