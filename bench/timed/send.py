"""An SMS through send's handler: ledger, opt-outs, limits, Skycore, ledger. A 201."""

import app

from bench.timed.clock import measure, sample

event = sample("send/sms.json")


def call() -> None:
    answer = app.handler(event, None)
    assert answer["statusCode"] == 201, answer


measure(call, 150)
