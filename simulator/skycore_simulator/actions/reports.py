"""The report of traffic between two instants."""

import time
from datetime import datetime, timedelta

from skycore_simulator import checks
from skycore_simulator.replies import Element, RefusalError, success
from skycore_simulator.request_parser import Call
from skycore_simulator.simulator import Simulator

MAX_PERIOD = timedelta(days=31)


def store_report(simulator: Simulator, body: str) -> str:
    """Keeps a report file and gives its address."""
    number = simulator.state.new_id()
    simulator.state.reports[number] = body
    return f"{simulator.api_url}report/{number}.xml"


def get_sending_status(simulator: Simulator, call: Call) -> list[Element]:
    """getSendingStatus: the reply is a link to the file.

    E507 another pattern, E508 no real date or the end before the start, E509 over 31 days, E510
    too soon after the last one.
    """
    start = checks.parse_time(call.get("START_DATE"), "E507", "E508")
    end = checks.parse_time(call.get("END_DATE"), "E507", "E508")
    if end < start:
        raise RefusalError("E508")
    if end - start > MAX_PERIOD:
        raise RefusalError("E509")
    state = simulator.state
    if time.monotonic() - state.last_report < simulator.settings.report_spacing_seconds:
        raise RefusalError("E510")
    state.last_report = time.monotonic()
    between = [
        message
        for message in simulator.journal.messages
        if message.direction == "out" and start <= datetime.fromisoformat(message.time) <= end
    ]
    return success(("URL", store_report(simulator, simulator.report(between))))


HANDLERS = {"getSendingStatus": get_sending_status}
