"""The interface for programs that add their own column to the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aiohttp import web

    type Publish = Callable[[str, Any, Any], None]


class PageExtension:
    """One column of the page with its routes and data. Subclass it and pass it to Server.

    `title` is the page's title and heading. `files` is a folder, served at /_page/extension/:

    - `column.html`: the column, a `<section class="column" id="…">` with an `<h2>`, required;
    - `main.js`: a module that exports `start(snapshot, isNew)`, called whenever the page
      (re)connects, and `apply(changes)`, called with what `publish` sent; it may import the page's
      own modules from /_page/static/js/; required;
    - `style.css`: optional.
    """

    title: str
    files: Path

    def routes(self) -> list[web.RouteDef]:
        """Return routes to add; other sites cannot reach those under /_page/."""
        return []

    def snapshot(self) -> dict[str, Any]:
        """Return what `start` gets beside the simulator's own data. Called in the event loop."""
        return {}

    async def run(self, publish: Publish) -> None:
        """Run in the background until cancelled.

        publish(kind, id, value) sends a JSON value to every open page; `apply` gets it in the list
        under `kind`. A newer value with the same id replaces an older one that is still unsent.
        """

    async def page_opened(self) -> None:
        """React to a browser that opens the page."""

    async def stop(self) -> None:
        """Clean up; called after `run` was cancelled."""
