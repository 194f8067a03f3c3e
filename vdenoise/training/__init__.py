"""How the networks are trained: clean material, degradations, the pool of examples, the loop."""
