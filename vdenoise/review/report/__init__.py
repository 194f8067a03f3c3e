"""One page for each result: before and after, figures and settings, in a file of its own."""
