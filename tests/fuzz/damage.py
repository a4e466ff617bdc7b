"""Damage good bodies a little and report how many are then read as something else.

    .venv/bin/python -m tests.fuzz.damage [COUNT] [SEED]

Each body of the corpus and of events/postbacks that tells an event gets one small damage. A
damaged body that is not well-formed any more must be read as the original or be unparsed; what is
read as something else is counted by class, and README.md here explains each class. Damage that
leaves a well-formed document is counted apart: no reader can tell it from what Skycore meant.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from skycore.postbacks.parser import PARSER_BUG, read_postback

if TYPE_CHECKING:
    from skycore.postbacks.event import Event

REPOSITORY = Path(__file__).parents[2]
FOLDERS = ("events/postbacks", "tests/contract/postbacks")
ARRIVED = datetime(2026, 11, 22, 10, 41, 15, tzinfo=UTC)
TAG = re.compile(r"</?[A-Za-z_:-]+>")
MARKS = "<>/\"&;{},:[]'"
JUNK = "<>/\"&'x{},“”"


@dataclass
class Report:
    """What became of the damaged bodies."""

    outcomes: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """The part of the bodies that were not well-formed that is read as something else."""
        told = self.outcomes["same"], self.outcomes["unparsed"], self.outcomes["other"]
        return told[2] / max(1, sum(told))


def originals() -> list[str]:
    """Bodies in XML and JSON that are well-formed and told as events."""
    paths = sorted(path for folder in FOLDERS for path in (REPOSITORY / folder).iterdir())
    bodies = []
    for path in paths:
        if path.suffix in {".xml", ".json"} and not path.name.endswith(".expected.json"):
            body = path.read_bytes().decode()
            events = read_postback(body.encode(), ARRIVED)
            if well_formed(body) and not any(event.unparsed for event in events):
                bodies.append(body)
    return bodies


def well_formed(body: str) -> bool:
    """Whether any reader of XML or JSON takes the body."""
    try:
        if body.lstrip().startswith("<"):  # whatever encoding is declared, it is text here
            expat.ParserCreate("utf-8").Parse(body.encode(), True)
        else:
            json.loads(body)
    except (expat.ExpatError, ValueError):
        return False
    return True


def damaged(body: str, chance: random.Random) -> tuple[str, str]:
    """The body with one small damage, and the damage's name."""
    kind = chance.choice(("lost", "inserted", "swapped", "doubled", "cut", "tag lost"))
    marks = [place for place, character in enumerate(body) if character in MARKS]
    place = chance.choice(marks) if chance.random() < 0.8 else chance.randrange(len(body))
    match kind:
        case "lost":
            body = body[:place] + body[place + 1 :]
        case "inserted":
            body = body[:place] + chance.choice(JUNK) + body[place:]
        case "swapped":
            body = body[:place] + body[place + 1 : place + 2] + body[place] + body[place + 2 :]
        case "doubled":
            body = body[: place + 1] + body[place:]
        case "cut":
            body = body[:place] + body[place + chance.randrange(1, 12) :]
        case "tag lost":
            tags = [found.span() for found in TAG.finditer(body)] or [(place, place + 1)]
            start, end = chance.choice(tags)
            body = body[:start] + body[end:]
    return body, kind


def run(count: int, seed: int) -> Report:
    """Damage and read so many bodies."""
    chance = random.Random(seed)
    bodies = originals()
    meant = [content(read_postback(body.encode(), ARRIVED)) for body in bodies]
    report = Report()
    for _ in range(count):
        number = chance.randrange(len(bodies))
        body, kind = damaged(bodies[number], chance)
        events = read_postback(body.encode(), ARRIVED)
        assert not any(str(event.data.get("error")).startswith(PARSER_BUG) for event in events)
        if well_formed(body):
            report.outcomes["well-formed"] += 1
        elif any(event.unparsed for event in events):
            report.outcomes["unparsed"] += 1
        elif content(events) == meant[number]:
            report.outcomes["same"] += 1
        else:
            report.outcomes["other"] += 1
            name = f"{kind}: {', '.join(differing(meant[number], content(events)))}"
            report.classes[name] += 1
            report.examples.setdefault(name, body)
    return report


def content(events: list[Event]) -> list[dict[str, Any]]:
    """What the events tell."""
    return [event.data for event in events]


def differing(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[str]:
    """The names of what differs."""
    if len(one) != len(other):
        return ["number of events"]
    names = {
        name
        for first, second in zip(one, other, strict=True)
        for name in first.keys() | second.keys()
        if first.get(name) != second.get(name)
    }
    return sorted(names - {"event", "outcome", "terminal"} or names)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    report = run(count, seed)
    print(f"seed {seed}: {dict(report.outcomes)}")
    print(f"read as something else: {report.share:.2%} of those that are not well-formed")
    for name, number in report.classes.most_common():
        print(f"{number:6} {name}")
        if "--examples" in sys.argv:
            print(report.examples[name])
