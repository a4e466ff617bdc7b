"""Magic numbers and values: they decide in the request itself what happens to it.

They work in every field of every action, in every form of request:

- any value `skycore-error-E503`, or a number `19990000503`: refused with that code (here E503);
- a number `19980000503`: refused the first time, accepted from then on;
- any value `skycore-mode-NAME`, or the number of a row of data/modes.json: the connection;
- any value `skycore-outcome-NAME`, or the number of a row of data/outcomes.json: what comes of it.

A value counts only as a whole, in any letter case. In the API key it holds for every request.
"""

import re
from functools import cache

from local.simulator.catalogue import table
from local.simulator.reading import Call

_ERROR = re.compile(r"skycore-error-(e\d{3})|19990000(\d{3})")
_FIRST = re.compile(r"19980000(\d{3})")
NUMBERS = ("TO", "MOBILE")


def error_in(values: list[str]) -> str | None:
    """The code that the first magic value among these asks for."""
    for value in values:
        if match := _ERROR.fullmatch(value.strip().lower()):
            return (match[1] or f"e{match[2]}").upper()
    return None


def first_error_in(values: list[str]) -> tuple[str, str] | None:
    """The value and code of a magic number that is refused once."""
    for value in values:
        if match := _FIRST.fullmatch(value.strip()):
            return match[0], f"E{match[1]}"
    return None


def mode_in(call: Call) -> str | None:
    """The connection mode that the call asks for."""
    return _chosen("mode", "modes", call.values(), [call.get(name) for name in NUMBERS])


def outcome_in(values: list[str], number: str) -> str | None:
    """The delivery outcome that these values or the recipient's number ask for."""
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
