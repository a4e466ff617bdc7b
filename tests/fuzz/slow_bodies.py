"""Search for the body of 256 KiB that takes the parser the most CPU, by hill climbing.

    .venv/bin/python -m tests.fuzz.slow_bodies SECONDS [SEED]

A body is a beginning, a middle that is repeated to fill it, and an end, of units that matter to
the parser. The search keeps the slowest and changes them. It prints the slowest ten, in seconds of
CPU; add what is slower than the bodies of tests/unit/postbacks/test_bounds.py to them.
"""

from __future__ import annotations

import gzip
import random
import sys
import time
from base64 import b64encode
from datetime import UTC, datetime

from skycore.postbacks.cloudevent import event_json
from skycore.postbacks.document import MAX_BODY_BYTES
from skycore.postbacks.event import build_event
from skycore.postbacks.parser import read_postback

ARRIVED = datetime(2026, 11, 22, 10, 41, 15, tzinfo=UTC)
UNITS = [
    *("<a>", "</a>", "<TO>1", "<OS>x", "<FROM_MASK><FROM_MASK>", "<x ", "/>", "<?x?>", "<"),
    *("<postback/>", "<postback>", "</postback>", "<notification a='1'/>", "<NOTIFICATION>"),
    *("</NOTIFICATION><NOTIFICATION>", "<NOTIFICATION id='1'><CODE>N301</CODE></NOTIFICATION>"),
    *("<TEXT>", "</TEXT>", "<KEYWORD>", "</KEYWORD>", "<TEXT a='", "<BODY>", "</BODY>"),
    *("&", "&amp;", "&#55357;", "&#1;", "&lt;", "<!---->", "<![CDATA[", "]]>", "<!--", "-->"),
    *(" ", "\n", "\r", "'", '"', "a:b ", "a:b='", "='1'", "=", "x='1'y='2'", "xmlns:a='u' "),
    *("%3C", "%253C", "%", "+", "xml=", "&xml=", "--a\n", "\r\n\r\n", "name=", "\\u", "\\"),
    *("{", "}", "[", "]", '"a":', '"code":"N1",', ',"a":1', ",", ":", "“", "”", '"a" "b":'),
    *(
        "\u0301",
        "\u0316",
        "\ufdfa",
        "\u0390",
        "STOP ",
        "<BODY><BODY>",
        '"body":{',
        '"from":["1","2"],',
    ),
    *(
        "<FROM>12000000001</FROM>",
        "<TO>2</TO>",
        "<NOTIFICATION_CREATED>2019-03-08</NOTIFICATION_CREATED>",
    ),
    *("é", "\x00", "\ud83d", "1", "a", "/TEXT", "2019-", "PD", "not", "&not", "&#x"),
    *("<CODE>N202</CODE>", "<CONTENT><FILE>u</FILE></CONTENT>", "<COPYTO><n>1</n></COPYTO>"),
]
BEGINNINGS = [
    *(
        "<POSTBACK><CODE>N211</CODE><TEXT>a" + "\u0301" * 60_000,
        "<POSTBACK><CODE>N211</CODE><BODY><BODY>",
    ),
    *("", "<a ", "<POSTBACK>& ", "<POSTBACK><CODE>N211</CODE><TEXT>", "<postback/>", "<?xml "),
    *("<POSTBACK><NOTIFICATION><TEXT>", "{", "[", '{"code":"N211","text":"', '{"code”:"'),
    *("xml=", "a=1&xml=", "--a\nname=xml\n\n", "&lt;", "%3C", '"', "PD"),
]
ENDS = [
    "</TEXT><CODE>N211</CODE></POSTBACK>",
    "</BODY></BODY></POSTBACK>",
    "",
    "</TEXT></POSTBACK>",
    "</POSTBACK>",
    "}",
    '"}',
    "<postback>&<TO>1</postback>",
    "&",
    '"',
]
WRAPPINGS = ["", "", "", "gzip", "base64", "utf-16", "cp1252"]

type Recipe = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str]


def made(recipe: Recipe) -> bytes:
    """The body of a recipe."""
    begin, middle, end, wrapping = recipe
    text = "".join(begin), "".join(middle) or "a", "".join(end)
    start, unit, rest = (part.encode("utf-8", "surrogatepass") for part in text)
    size = MAX_BODY_BYTES // 2 if wrapping == "utf-16" else MAX_BODY_BYTES
    if wrapping == "base64":
        size = size * 3 // 4 - 3
    body = start + unit * max(0, (size - len(start) - len(rest)) // len(unit)) + rest
    if wrapping == "gzip":
        return gzip.compress(body, 1)
    if wrapping == "base64":
        return b64encode(body)
    if wrapping:
        return body.decode("utf-8", "replace").encode(wrapping, "replace")[:MAX_BODY_BYTES]
    return body


def cost(recipe: Recipe) -> float:
    """Seconds of CPU that the body of a recipe takes."""
    body = made(recipe)
    start = time.process_time()
    for event in read_postback(body, ARRIVED)[:20]:
        event_json(build_event(event, source="urn:skycore:search", raw=body))
    return time.process_time() - start


def changed(recipe: Recipe, chance: random.Random) -> Recipe:
    """The recipe with one unit more, less or other."""
    parts = [list(part) for part in recipe[:3]]
    part = chance.choice(parts)
    place = chance.randrange(len(part) + 1)
    kind = chance.random()
    if kind < 0.4 and place < len(part):
        del part[place]
    elif kind < 0.6 and place < len(part):
        part[place] = chance.choice(UNITS)
    else:
        part.insert(place, chance.choice(UNITS))
    wrapping = chance.choice(WRAPPINGS) if chance.random() < 0.1 else recipe[3]
    return tuple(parts[0]), tuple(parts[1]), tuple(parts[2]), wrapping


def fresh(chance: random.Random) -> Recipe:
    """A recipe by chance."""
    middle = tuple(chance.choice(UNITS) for _ in range(chance.randrange(1, 5)))
    begin, end = (chance.choice(BEGINNINGS),), (chance.choice(ENDS),)
    return begin, middle, end, chance.choice(WRAPPINGS)


def search(seconds: float, seed: int) -> list[tuple[float, Recipe]]:
    """The slowest recipes found, slowest first."""
    chance = random.Random(seed)
    best: list[tuple[float, Recipe]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        grown = best and chance.random() < 0.6
        recipe = changed(chance.choice(best[:10])[1], chance) if grown else fresh(chance)
        if all(recipe != known for _, known in best):
            best.append((cost(recipe), recipe))
            best.sort(key=lambda found: -found[0])
            del best[30:]
    return best


if __name__ == "__main__":
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    print(f"seed {seed}")
    for took, recipe in search(float(sys.argv[1]), seed)[:10]:
        print(f"{min(took, *(cost(recipe) for _ in range(2))):.3f} s  {recipe}")
