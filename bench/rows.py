"""The rows of the table: what is measured, against what, and how far it is to go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import artefact, cost, stub
from bench.table import Row, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.artefact import Artefact

VERBS = ("ack", "store", "publish", "send", "enqueue", "dispatch", "messages", "sweep")
COLD_FLOORS = {
    "ack": "import boto3; boto3.client('sqs')",
    "send": "import boto3, requests; boto3.client('dynamodb'); boto3.client('secretsmanager')",
}
LARGEST_PACKAGE = 12 * 1024 * 1024  # bytes


def cold_starts(build: Artefact) -> Iterator[Row]:
    """Rows 1 and 6: CPU of a fresh process until it can take an event, less bare Python's.

    The floors have their packages as pip installs them, with bytecode.
    """
    stock = artefact.stock_path(build)
    runs: dict[str, Callable[[], float]] = {"Python": _start("pass", stock)}
    runs |= {verb: _start("import app", build.path(verb)) for verb in VERBS}
    runs |= {f"floor {verb}": _start(code, stock) for verb, code in COLD_FLOORS.items()}
    took = interleaved(runs)
    python = took["Python"].middle
    for number, verb, most in (("1", "ack", 1.15), ("6", "send", 1.25)):
        ours, floor = took[verb], took[f"floor {verb}"]
        ratio = (ours.middle - python) / (floor.middle - python)
        yield Row(
            number,
            f"`{verb}` cold start, to `{COLD_FLOORS[verb]}`",
            f"{ratio:.2f} x",
            f"<= {most} x",
            ratio <= most,
            f"{ours}, floor {floor}, bare Python {took['Python']} taken off both",
        )
    every = ", ".join(f"{verb} {took[verb].middle * 1e3:.0f}" for verb in VERBS)
    yield Row("6a", "every function's cold start", "ms", "", None, every)


def warm(build: Artefact, url: str) -> Iterator[Row]:
    """Rows 1a, 2, 3, 5 and 7: CPU of an item, but for 1a in a warm process, to its floor's."""
    stock = artefact.stock_path(build)

    def run(name: str, path: list[Path], *arguments: str) -> Callable[[], float]:
        return lambda: artefact.timed(name, path, url, *arguments).seconds

    yield _ratio(
        "1a",
        "`ack` from a fresh process to its first answer, to boto3's clients and those two calls",
        1.1,
        run("ack_first", build.path("ack")),
        run("send_message_first", stock),
    )
    yield _ratio(
        "2",
        "`ack` warm, a postback, to boto3's bare `send_message`",
        1.2,
        run("ack", build.path("ack")),
        run("send_message", stock),
    )
    store = run("store", build.path("store"), "100")
    took = interleaved({"ours": store, "floor": run("conditional_save", stock)})
    ratio = took["floor"].middle / took["ours"].middle
    per_second = 1 / took["ours"].middle
    yield Row(
        "3",
        "`store`, batches of 100, to a conditional PynamoDB `save` for each",
        f"{ratio:.1f} x",
        ">= 3.5 x",
        ratio >= 3.5,
        f"{per_second:.0f} postbacks/s a core: {took['ours']} each, floor {took['floor']}",
    )
    yield _ratio(
        "5",
        "intake of a 500-byte receipt, to defusedxml's parse of it",
        3.0,
        run("intake", build.path()),
        run("parse", stock),
    )
    took = interleaved(
        {
            "ours": run("send", build.path("send")),
            "all": run("bare_calls", build.path(), "all"),
            "named": run("bare_calls", build.path(), "named"),
        },
    )
    for number, kind, what in (
        ("7", "all", "the six calls that it must make"),
        ("7a", "named", "four of them: without the opt-outs and the tracking id's pointer"),
    ):
        ratio = took["ours"].middle / took[kind].middle
        yield Row(
            number,
            f"`send` warm, a message, to {what}",
            f"{ratio:.2f} x",
            "<= 1.25 x",
            ratio <= 1.25,
            f"{took['ours']}, floor {took[kind]}",
        )
    _, parts = artefact.measured("send_profile", build.path("send"), url)
    told = ", ".join(f"{name} {part:.0%}" for name, part in parts.items())
    told += f", all else {1 - sum(parts.values()):.0%}"
    yield Row("7b", "where the CPU of a send goes, by cProfile", "parts", "", None, told)


def requests(build: Artefact, url: str) -> Row:
    """Row 4: what 100 postbacks in one invocation of `store` ask of DynamoDB."""
    stub.counts(url)
    artefact.timed("store", build.path("store"), url, "100", "once")
    told = stub.counts(url)
    detail = ", ".join(f"{count} {name.split()[1]}" for name, count in sorted(told.items()))
    total = sum(told.values())
    what = "`store`: DynamoDB requests for 100 dated postbacks"
    return Row("4", what, str(total), "<= 8", total <= 8, detail)


def calls() -> Row:
    """Row 8: AWS's share of requests.json, which a test holds."""

    def told(name: str) -> str:
        parts = (
            f"{count} {call}"
            for call, count in cost.REQUESTS[name].items()
            if call != "Skycore" and not call.endswith("units")
        )
        return f"{name}: {', '.join(parts)}"

    detail = "; ".join(told(name) for name in cost.REQUESTS)
    what = "AWS requests of each invocation (`bench/requests.json`)"
    return Row("8", what, "stated", "a test holds it", True, detail)


MEASURED = {
    # what cost.py knows it as: what is run, of which function (None: a floor), and its arguments
    "ack": ("ack", "ack"),
    "store": ("store", "store", "10"),
    "store100": ("store", "store", "100"),
    "publish": ("publish", "publish"),
    "send": ("send", "send"),
    "send_message": ("send_message", None),
    "save": ("conditional_save", None),
    "post": ("post", None),
}


def costs(build: Artefact, url: str) -> cost.Measured:
    """CPU of all that a bill is made of, side by side, and what each logs."""
    logged: dict[str, float] = {}

    def run(name: str) -> Callable[[], float]:
        script, verb, *arguments = MEASURED[name]
        path = build.path(verb) if verb else artefact.stock_path(build)

        def measure() -> float:
            seconds, logged[name] = artefact.timed(str(script), path, url, *map(str, arguments))
            return seconds

        return measure

    took = interleaved({name: run(name) for name in MEASURED})
    return cost.Measured({name: samples.middle for name, samples in took.items()}, logged)


def compared(known: cost.Measured) -> Iterator[Row]:
    """Row 10: our dollars beside a plain sample's."""
    for number, ours, plain in (
        ("10", cost.STORED, cost.PLAIN_STORED),
        ("10a", cost.SENT, cost.PLAIN_SENT),
    ):
        dollars, floor = cost.total(known, ours), cost.total(known, plain)
        yield Row(
            number,
            f"a million of `{ours}`, to a plain sample",
            f"${dollars:.2f}",
            f"< ${floor:.2f}",
            dollars < floor,
            f"{dollars / floor:.2f} x; by service below",
        )


def package(build: Artefact) -> Row:
    """Row 9: the layers, zipped as they are deployed."""
    sizes = {layer: build.zipped(layer) for layer in artefact.LAYERS}
    total = sum(sizes.values())
    detail = ", ".join(f"{layer} {size / 1e6:.1f} MB" for layer, size in sizes.items())
    fits = total <= LARGEST_PACKAGE
    return Row("9", "both layers, zipped", f"{total / 1e6:.1f} MB", "<= 12 MB", fits, detail)


def _start(code: str, path: list[Path]) -> Callable[[], float]:
    """CPU from the interpreter's own start until `code` is done; its end is nobody's wait."""
    told = f"{code}\nimport time; print(time.process_time())"
    return lambda: float(artefact.fresh(["-c", told], path))


def _ratio(
    number: str,
    what: str,
    most: float,
    ours: Callable[[], float],
    floor: Callable[[], float],
) -> Row:
    took = interleaved({"ours": ours, "floor": floor})
    ratio = took["ours"].middle / took["floor"].middle
    detail = f"{took['ours']}, floor {took['floor']}"
    return Row(number, what, f"{ratio:.2f} x", f"<= {most} x", ratio <= most, detail)
