"""All that is decided before the first frame, and its carrying out: plan, steps, tiles, streams."""
