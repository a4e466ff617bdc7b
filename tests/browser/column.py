"""The page with the column "Your side", without a stack: prints its address.

Run by the project's Python. Each line on standard input is JSON: {"messages": {id: row or null}},
as the table's stream brings them, or {"event": event}, as the page's queue does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from local.page.extension import StackColumn
from skycore_simulator.server import Server
from skycore_simulator.simulator import Simulator


async def serve(stack_file: Path) -> None:
    """Serve until standard input ends."""
    column = StackColumn(stack_file)
    server = Server(Simulator(), page=True, extension=column)
    await server.start()
    print(server.url, flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        news = json.loads(line)
        column.messages.record(news.get("messages", {}))
        if "event" in news:
            column.subscription.record(news["event"])
    await server.stop()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
