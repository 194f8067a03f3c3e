"""How noise is measured (`estimate`), and what became of it (`removed`)."""
