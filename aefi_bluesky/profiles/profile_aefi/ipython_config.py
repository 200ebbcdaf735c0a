"""IPython's settings for the AEFI session."""

# IPython gives this name.
c = get_config()  # noqa: F821  # pyright: ignore[reportUndefinedVariable]

# A failing plan says one sentence instead of a hundred lines.
c.InteractiveShell.xmode = "Minimal"
c.TerminalInteractiveShell.confirm_exit = True
