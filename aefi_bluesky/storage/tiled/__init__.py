"""The Tiled server as a process of its own, and how it is reached."""
