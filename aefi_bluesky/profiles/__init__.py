"""Set-ups that ship with the package: benches, IPython and the queue server."""
