"""Motion between neighbouring frames and cuts, estimated once and shared."""
