"""IPython's settings for the AEFI session."""

c = get_config()  # noqa: F821  IPython gives it

# A failing plan says one sentence instead of a hundred lines.
c.InteractiveShell.xmode = "Minimal"
c.TerminalInteractiveShell.confirm_exit = True
