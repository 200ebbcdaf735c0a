"""Actuators of the Dashboard."""

from pathlib import Path

path = Path(__file__)
"""PyMoDAQ looks for plugins beside this file."""
