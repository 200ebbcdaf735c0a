"""``aefi study``: studies planned, flown and closed without a prompt."""

from aefi_bluesky.cli.study.command import study

__all__ = ["study"]
