"""DynamoDB's expressions, evaluated: conditions and updates, with document paths and arithmetic.

Only what the product uses is understood; anything else fails the test that needs it.
"""

from __future__ import annotations

import copy
import operator
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

type Item = dict[str, Any]
type Path = tuple[str | int, ...]

_TOKEN = re.compile(r"\s*(<=|>=|<>|[()=<>,+\-.\[\]]|[#:]?\w+)")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class InvalidError(Exception):
    """DynamoDB refuses the expression, or it does not suit the item."""


@dataclass(frozen=True, slots=True)
class Context:
    """What an expression is evaluated on."""

    item: Item
    names: Mapping[str, str]
    values: Mapping[str, Any]

    def path(self, path: Path) -> Path:
        """Return the path with its aliases replaced."""
        return tuple(
            self.names[part] if isinstance(part, str) and part.startswith("#") else part
            for part in path
        )

    def find(self, path: Path) -> Any:
        """Return the attribute at a path; None if there is none."""
        held: Any = {"M": self.item}
        for part in self.path(path):
            kind, of = ("M", held.get("M", {})) if isinstance(part, str) else ("L", held.get("L"))
            if kind == "L":
                of = dict(enumerate(of or []))
            if part not in of:
                return None
            held = of[part]
        return held


type Evaluated = Callable[[Context], Any]


def holds(expression: str, request: Mapping[str, Any], item: Item) -> bool:
    """Return whether a condition holds for an item."""
    return bool(_condition(expression)(_context(request, item)))


def updated(request: Mapping[str, Any], item: Item) -> tuple[Item, set[Path]]:
    """Return a copy of the item after the request's update, and the paths that it changed.

    Raises InvalidError.
    """
    context, after, changed = _context(request, item), item, list[Path]()
    for verb, path, value in _update(request["UpdateExpression"]):
        place = context.path(path)
        if any(place[: len(one)] == one[: len(place)] for one in changed):
            raise InvalidError("two document paths overlap")
        changed.append(place)
        if verb == "SET":
            after = _put(after, place, value(context))
        if verb in {"ADD", "DELETE"}:
            after = _put(after, place, _changed_set(verb, context.find(path), value(context)))
    removed = [
        context.path(path)
        for verb, path, _ in _update(request["UpdateExpression"])
        if verb == "REMOVE"
    ]
    for place in sorted(removed, key=str, reverse=True):  # of a list, the last first
        after = _put(after, place, None)
    return after, set(changed)


def _changed_set(verb: str, held: Any, values: Any) -> Any:
    """Return a set of texts with or without the values; None if nothing is left of it."""
    if {"SS"} != {*values, *(held or {})}:
        raise InvalidError("only sets of texts can be changed so")
    before, changed = set((held or {"SS": []})["SS"]), set(values["SS"])
    after = before | changed if verb == "ADD" else before - changed
    return {"SS": sorted(after)} if after else None


def only(item: Item, paths: set[Path]) -> Item:
    """Return the part of an item that lies at these paths, for UPDATED_OLD and UPDATED_NEW."""
    assert all(len(path) == 1 for path in paths), "ask for ALL_NEW: of maps, not all return a part"
    return {str(name): item[str(name)] for (name,) in paths if name in item}


def _context(request: Mapping[str, Any], item: Item) -> Context:
    names = request.get("ExpressionAttributeNames", {})
    return Context(item, names, request.get("ExpressionAttributeValues", {}))


def _put(held: Any, path: Path, value: Any) -> Any:
    """Return a copy of a map or list with the value at a path; without a value, without it."""
    part, *rest = path
    try:
        held = copy.copy(held)
        if rest:
            ((kind, inner),) = held[part].items()
            held[part] = {kind: _put(inner, tuple(rest), value)}
        elif value is not None:
            held[part] = value
        elif isinstance(held, dict):
            held.pop(part, None)
        else:
            del held[part : part + 1]  # type: ignore[operator]
    except (KeyError, IndexError, TypeError) as error:
        raise InvalidError("the document path is invalid for update") from error
    return held


class _Parser:
    def __init__(self, expression: str) -> None:
        self.tokens: list[str] = _TOKEN.findall(expression)
        assert "".join(self.tokens) == re.sub(r"\s", "", expression), expression
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def next(self, expected: str | None = None) -> str:
        token = self.peek()
        assert token, self.tokens
        assert expected in {None, token}, (expected, token, self.tokens)
        self.at += 1
        return token

    def path(self) -> Path:
        parts: list[str | int] = [self.next()]
        assert parts[0].startswith("#"), "name attributes by alias"  # type: ignore[union-attr]
        while self.peek() in {".", "["}:
            if self.next() == ".":
                parts.append(self.next())
            else:
                parts.append(int(self.next()))
                self.next("]")
        return tuple(parts)

    def arguments(self) -> list[Any]:
        self.next("(")
        found: list[Any] = []
        while self.peek() != ")":
            found.append(self.operand())
            if self.peek() == ",":
                self.next()
        self.next(")")
        return found

    def operand(self) -> Any:
        """Return an operand: a function of the context that has its path, if it is one."""
        token = self.peek()
        if token.startswith(":"):
            name = self.next()
            return lambda context: context.values[name]
        if token == "size":
            self.next()
            (sized,) = self.arguments()
            return lambda context: _size(sized(context))
        if token == "if_not_exists":
            self.next()
            held, default = self.arguments()
            return lambda context: default(context) if held(context) is None else held(context)
        if token == "list_append":
            self.next()
            first, second = self.arguments()
            return lambda context: {"L": first(context)["L"] + second(context)["L"]}
        path = self.path()
        return lambda context: context.find(path)

    def sum(self) -> Evaluated:
        """Return an operand, or the sum or difference of two."""
        left: Evaluated = self.operand()
        if self.peek() not in {"+", "-"}:
            return lambda context: _there(left(context))
        sign = 1 if self.next() == "+" else -1
        right: Evaluated = self.operand()

        def value(context: Context) -> Any:
            one, other = _there(left(context)), _there(right(context))
            if set(one) | set(other) != {"N"}:
                raise InvalidError("only numbers can be added")
            return {"N": str(Decimal(one["N"]) + sign * Decimal(other["N"]))}

        return value

    def any_of(self) -> Evaluated:
        return self._joined("OR", self.all_of, any)

    def all_of(self) -> Evaluated:
        return self._joined("AND", self.term, all)

    def _joined(
        self, word: str, part: Callable[[], Evaluated], combine: Callable[[Iterable[Any]], bool]
    ) -> Evaluated:
        parts = [part()]
        while self.peek() == word:
            self.next()
            parts.append(part())
        return lambda context: combine(evaluate(context) for evaluate in parts)

    def term(self) -> Evaluated:
        token = self.peek()
        if token == "(":
            self.next()
            inner = self.any_of()
            self.next(")")
            return inner
        if token in {"attribute_exists", "attribute_not_exists"}:
            self.next()
            (held,) = self.arguments()
            return lambda context: (held(context) is not None) == (token == "attribute_exists")
        if token == "begins_with":
            self.next()
            text, start = self.arguments()
            return lambda context: _plain(text(context), "").startswith(_plain(start(context)))
        if token == "contains":
            self.next()
            text, part = self.arguments()
            return lambda context: _plain(part(context)) in _plain(text(context), "")
        left = self.operand()
        if self.peek() == "BETWEEN":
            self.next()
            low = self.operand()
            self.next("AND")
            high = self.operand()
            return lambda context: (
                _compared("<=", low(context), left(context))
                and _compared("<=", left(context), high(context))
            )
        if self.peek() == "IN":
            self.next()
            one_of = self.arguments()
            return lambda context: any(
                _compared("=", left(context), one(context)) for one in one_of
            )
        sign, right = self.next(), self.operand()
        return lambda context: _compared(sign, left(context), right(context))


def _compared(sign: str, left: Any, right: Any) -> bool:
    if left is None or right is None or set(left) != set(right):
        return False
    return _COMPARE[sign](_plain(left), _plain(right))


def _plain(attribute: Any, default: Any = None) -> Any:
    if attribute is None:
        return default
    ((kind, held),) = attribute.items()
    return Decimal(held) if kind == "N" else held


def _size(attribute: Any) -> Any:
    return None if attribute is None else {"N": str(len(_plain(attribute)))}


def _there(attribute: Any) -> Any:
    if attribute is None:
        raise InvalidError("the expression refers to an attribute that does not exist in the item")
    return attribute


@cache
def _condition(expression: str) -> Evaluated:
    parser = _Parser(expression)
    found = parser.any_of()
    assert not parser.peek(), expression
    return found


@cache
def _update(expression: str) -> list[tuple[str, Path, Any]]:
    parser = _Parser(expression)
    verb, found = "", list[tuple[str, Path, Any]]()
    while parser.peek():
        if parser.peek() in {"SET", "REMOVE", "ADD", "DELETE"}:
            verb = parser.next()
        elif found:
            parser.next(",")
        path, value = parser.path(), None
        if verb == "SET":
            parser.next("=")
            value = parser.sum()
        elif verb in {"ADD", "DELETE"}:
            value = parser.operand()
        found.append((verb, path, value))
    return found
