"""Scans in PyMoDAQ's windows; this package itself imports nothing."""
