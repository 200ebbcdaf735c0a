"""What a bench is, and what was measured of it."""
