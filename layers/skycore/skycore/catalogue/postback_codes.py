"""What each code of a Skycore postback means."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

type Outcome = Literal["success", "failure", "info"]
type Step = Literal["sent", "delivered", "failed", "expired"]


@dataclass(frozen=True, slots=True)
class PostbackCode:
    """One code.

    `terminal`: nothing more follows for what it is about; device discovery is never terminal,
    because the real MMS follows. `step`: what it means for the message's status, if anything.
    `kind`: codes of one kind are identified by the same fields.
    """

    code: str
    origins: tuple[str, ...]
    event: str
    meaning: str
    terminal: bool
    outcome: Outcome
    kind: str
    step: Step | None


@cache
def _by_code() -> dict[str, PostbackCode]:
    path = Path(__file__).with_name("postback_codes.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["code"]: PostbackCode(
                code=row["code"],
                origins=tuple(row["origins"].split("|")),
                event=row["event"],
                meaning=row["meaning"],
                terminal=row["terminal"] == "yes",
                outcome=cast("Outcome", row["outcome"]),
                kind=row["kind"],
                step=cast("Step", row["step"]) if row["step"] else None,
            )
            for row in csv.DictReader(file)
        }


def all_postback_codes() -> tuple[PostbackCode, ...]:
    """Every documented code."""
    return tuple(_by_code().values())


def find_postback_code(code: str) -> PostbackCode | None:
    """The code as documented (`N202`, upper case), None for one that is not."""
    return _by_code().get(code)


@cache
def origin_names() -> dict[str, str]:
    """Documented origins by their upper-case spelling (`WALLET` is written `wallet`)."""
    return {name.upper(): name for code in all_postback_codes() for name in code.origins}
