"""Magic numbers and values: a request chooses what happens to it.

They work in every field of every action and in every request format:

- the value `skycore-error-E503` or the number `19990000503`: refused with that code (here E503);
- the number `19980000503`: refused the first time, accepted afterwards;
- the value `skycore-mode-NAME` or the number of a row of data/modes.json: the connection mode;
- the value `skycore-outcome-NAME` or the number of a row of data/outcomes.json: the outcome.

The whole value must match, in any letter case. A value in the API key applies to every request.
"""

import re
from functools import cache

from skycore_simulator.request_parser import Call
from skycore_simulator.tables import table

_ERROR = re.compile(r"skycore-error-(e\d{3})|19990000(\d{3})")
_FIRST = re.compile(r"19980000(\d{3})")
NUMBERS = ("TO", "MOBILE")


def error_in(values: list[str]) -> str | None:
    """Return the error code of the first magic value among these."""
    for value in values:
        if match := _ERROR.fullmatch(value.strip().lower()):
            return (match[1] or f"e{match[2]}").upper()
    return None


def first_error_in(values: list[str]) -> tuple[str, str] | None:
    """Return the value and code of a magic number that is refused once."""
    for value in values:
        if match := _FIRST.fullmatch(value.strip()):
            return match[0], f"E{match[1]}"
    return None


def mode_in(call: Call) -> str | None:
    """Return the connection mode that the call asks for."""
    return _chosen("mode", "modes", call.values(), [call.get(name) for name in NUMBERS])


def outcome_in(values: list[str], number: str) -> str | None:
    """Return the delivery outcome that these values or the recipient's number ask for."""
    return _chosen("outcome", "outcomes", values, [number])


def _chosen(kind: str, rows: str, values: list[str], numbers: list[str]) -> str | None:
    prefix = f"skycore-{kind}-"
    for value in values:
        name = value.strip().lower().removeprefix(prefix)
        if value.strip().lower().startswith(prefix) and name in table(rows):
            return name
    by_number = _numbers(rows)
    return next((by_number[number] for number in numbers if number in by_number), None)


@cache
def _numbers(rows: str) -> dict[str, str]:
    return {facts["to"]: name for name, facts in table(rows).items()}
