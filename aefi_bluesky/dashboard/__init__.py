"""What PyMoDAQ's Dashboard finds by entry points: an extension and plugins.

Imports nothing: PyMoDAQ looks for the folders by their names.
"""
