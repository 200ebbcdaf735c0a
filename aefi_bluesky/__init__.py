"""Fly-scan maps of a low-frequency electric field, as a Bluesky plugin."""
