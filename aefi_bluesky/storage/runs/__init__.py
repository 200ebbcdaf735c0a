"""A run from its documents to Tiled, and what is kept of it until it is there."""
