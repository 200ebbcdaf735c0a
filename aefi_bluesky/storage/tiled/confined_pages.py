"""Tiled's web pages, confined to their own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_PAGES = "/ui/"
"""Where Tiled serves the files of its web page, to everybody: they ask for the key."""


class ConfinedPages:
    """A layer over Tiled's application: its pages are files of their folder only.

    Tiled 0.2.20 joins what comes after ``/ui/`` to the folder of its pages as it is
    (``server/app.py``): ``..`` or an absolute path, in whichever spelling, reached any
    file that the user can read, without a key; the key too.

    Parameters
    ----------
    app
        Tiled's application.
    folder
        Folder of its pages.
    """

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self._app = app
        self._folder = folder.resolve()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what is outside as not found, and hand everything else on."""
        path: Any = scope.get("path", "")
        if path.startswith(_PAGES) and not self._holds(path.removeprefix(_PAGES)):
            refusal = PlainTextResponse("Not Found", status_code=404)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _holds(self, page: str) -> bool:
        """Whether a page, links followed, is in the folder, be it there or not."""
        try:
            # As Tiled joins it, so that each system's own spellings are judged.
            return (self._folder / page).resolve().is_relative_to(self._folder)
        except (OSError, ValueError, RuntimeError):  # no path, or a ring of links
            return False
