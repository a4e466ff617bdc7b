"""A page with ten thousand messages behind it: run by the project's Python, prints its address.

No stack: what is measured is the page. One line on standard input adds a thousand messages.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from local.page.extension import StackColumn
from skycore_simulator.journal import Journal, Message, Postback, Request, now
from skycore_simulator.server import Server
from skycore_simulator.simulator import Simulator

MESSAGES, BURST, NUMBERS = 10_000, 1_000, 3_000
POSTBACK = b"<POSTBACK><ORIGIN>SMS_MT</ORIGIN><CODE>N202</CODE></POSTBACK>"


def add(journal: Journal, place: int) -> None:
    """A request, its message and two postbacks, as a send of the product leaves them."""
    number, tracking_id = f"1774{place % NUMBERS:07d}", f"SMS_{place}"
    fields = {"TO": number, "FROM": "60856", "TEXT": f"Message {place}"}
    text = f"<REQUEST><ACTION>sendSMS</ACTION><TO>{number}</TO></REQUEST>"
    request = Request(
        journal.next_id(), now(), "POST", "/", "form", "sendSMS", "sendSMS", fields, [], text
    )
    request.reply = "<RESPONSE><STATUS>Success</STATUS></RESPONSE>"
    message = Message(
        journal.next_id(), now(), "out", "sms", "sendSMS", tracking_id, number, "60856",
        f"Message {place}", status="delivered",
    )  # fmt: skip
    journal.requests.append(request)
    journal.messages.append(message)
    journal.changed(request)
    journal.changed(message)
    for code in ("N201", "N202"):
        postback = Postback(journal.next_id(), now(), code, tracking_id, POSTBACK, "text/xml")
        postback.tries, postback.delivered = [{"time": now(), "status": 200, "seconds": 0.1}], True
        journal.postbacks.append(postback)
        journal.changed(postback)


async def serve() -> None:
    """Until standard input ends."""
    simulator = Simulator()
    server = Server(simulator, page=True, extension=StackColumn(Path("/nowhere/stack.json")))
    await server.start()
    for place in range(MESSAGES):
        add(simulator.journal, place)
    print(server.url, flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        for place in range(MESSAGES, MESSAGES + BURST):
            add(simulator.journal, place)
            await asyncio.sleep(0.001)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(serve())
