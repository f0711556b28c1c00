"""Progress on the terminal: of a run, a sweep and a search."""
