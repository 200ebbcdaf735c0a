"""Detectors of the Dashboard."""
