"""``python -m aefi_bluesky`` is ``aefi``."""

from aefi_bluesky.cli import main

main()
