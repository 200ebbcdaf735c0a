"""Whether a bench can carry a spec out, and the nearest change that it can."""
