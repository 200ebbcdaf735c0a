"""Set-ups that ship with the package: benches and IPython."""
