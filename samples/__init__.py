"""Sample clips and how they are made."""
