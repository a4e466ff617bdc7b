"""Floors of send: the calls that it must make, with its own clients and nothing around them.

`named`: ledger put, limiter update, POST, ledger update. `all`: also the two that its guarantees
add, the opt-outs' read and the pointer from the tracking id, which must come before the update.
"""

import os
import sys

from bench.timed.clock import measure
from skycore import timestamps
from skycore.client.connections import Bounds
from skycore.client.transport import exchange, mount_adapter, new_session
from skycore.table import messages, opt_outs
from skycore.table.limiter import Limiter
from skycore.table.limits import Limits

every = sys.argv[1] == "all"
url = os.environ["SKYCORE_URL"]
session = new_session()
mount_adapter(session, url)
limiter, limits = Limiter(), Limits(100_000, 1_000_000, 100_000_000)
moment = timestamps.now()
row = messages.new_row(
    "0" * 32,
    "sending",
    time=moment,
    days=90,
    attempt="0" * 16,
    action="sendSMS",
    to="17743199144",
    sender="60856",
    client_reference="order-4711",
    fingerprint="0" * 64,
)
body = b"xml=" + b"x" * 400
bounds = Bounds(connect_seconds=5, read_seconds=15, deadline=float("inf"), max_bytes=100_000)
answer = b"x" * 180


def call() -> None:
    messages.create(row)
    if every:
        opt_outs.opted_out([("17743199144", "60856")])
    limiter.take(limits)
    with exchange(session, "POST", url, body=body, bounds=bounds):
        pass
    if every:
        messages.put_tracking_row(
            "U01TXzkwNDE3MzM=", row.message_id, "order-4711", time=moment, days=90
        )
    messages.transition(
        row.message_id,
        "accepted",
        time=moment,
        own=True,
        if_attempt=row.attempt,
        tracking_id="U01TXzkwNDE3MzM=",
        answer=answer,
        request=None,
    )


measure(call, 150)
