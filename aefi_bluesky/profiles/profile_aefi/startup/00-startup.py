"""The session's names; how it is built is in `aefi_bluesky.startup`."""

from aefi_bluesky.startup import *  # noqa: F403

register_magics()  # noqa: F405
