"""Every action of the Skycore Messaging API, and the error codes of its replies.

The actions are in ``actions.json``: their parameters, reply, errors and effect. A parameter is
described once and named by the actions that take it; the request XML, the GET form, validation and
the OpenAPI schema all come from here.

The codes are in ``error_codes.csv``, what each means to an HTTP caller is here. A few (E101, E102,
E201, E999) also occur in postbacks, where they mean something else: see `statuses`.
"""

import csv
import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

Effect = Literal["send", "read", "write", "create", "delete"]
Required = Literal["always", "one_of", "optional"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a request.

    ``name`` is the JSON name, ``xml`` the path below ``REQUEST`` (below the group for a child),
    ``get`` the query key of the GET form, or None where there is none. ``kind`` says how the value
    is checked and written:

    - text: ``text`` (any lines), ``line`` (one line), ``value`` (any lines, may be empty),
      ``sms_text``, ``alphanumeric``, ``letters_digits_spaces``, ``url``, ``email``,
      ``email_or_all``, ``uuid``, ``latitude``, ``longitude``, ``beacon_number``, ``carrier_id``
    - numbers: ``msisdn``, ``sender``, ``sender_mask``
    - ``integer``; ``yes_no`` and ``true_only``, true or false in JSON
    - times: ``datetime`` and ``datetime_iso``, which differ on the wire
    - groups: ``slides`` and ``custom_text`` (lists of maps of ``children``), ``pass_data`` (a map
      of ``children``), ``data`` (a map of any snake_case names)

    ``max_length`` counts characters, ``minimum`` and ``maximum`` bound an integer, ``min_items``
    and ``max_items`` a group. ``required`` is ``one_of`` where exactly one of ``Action.one_of`` is
    wanted; ``required_unless`` names fields of which one may stand in for this one.
    """

    name: str
    xml: str
    kind: str
    description: str
    get: str | None = None
    required: Required = "optional"
    required_unless: tuple[str, ...] = ()
    max_length: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    children: tuple["Parameter", ...] = ()
    aliases: tuple[str, ...] = ()
    deprecated: bool = False
    secret: bool = False

    @property
    def repeated(self) -> bool:
        """Whether the element occurs once for each entry of a list."""
        return self.kind in ("slides", "custom_text")


@dataclass(frozen=True, slots=True)
class Action:
    """One action of the API.

    ``effect``: ``send`` bills a message, ``read`` changes nothing, the others change the account.
    ``reply`` lists the JSON names of a successful reply, ``errors`` the codes documented for it
    beside ``GENERAL_ERRORS``, ``warnings`` those that come with a success, ``postbacks`` the codes
    that may follow. ``repeat_safe`` (yes, no, conditional, limited) and ``repeat_note`` say what a
    second identical call does. ``get_form`` is False where no GET form can express the request.
    """

    name: str
    group: str
    purpose: str
    effect: Effect
    parameters: tuple[Parameter, ...]
    reply: tuple[str, ...]
    errors: tuple[str, ...]
    repeat_safe: str
    repeat_note: str
    postbacks: tuple[str, ...]
    get_form: bool
    warnings: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    deprecated: bool = False

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of this JSON name or alias, or None."""
        for parameter in self.parameters:
            if name == parameter.name or name in parameter.aliases:
                return parameter
        return None


def find_action(name: str) -> Action | None:
    """Return the action of this name or older name, ignoring letter case and spaces around it."""
    return _by_name().get(name.strip().casefold())


def all_actions() -> tuple[Action, ...]:
    """Return all documented actions."""
    return _actions()


def general_errors() -> tuple[str, ...]:
    """Return the reply codes that any action can give."""
    return tuple(_document()["general_errors"])


@cache
def _document() -> dict[str, Any]:
    with Path(__file__).with_name("actions.json").open("rb") as file:
        document: dict[str, Any] = json.load(file)
    return document


@cache
def _by_name() -> dict[str, Action]:
    return {n.casefold(): a for a in _actions() for n in (a.name, *a.aliases)}


@cache
def _actions() -> tuple[Action, ...]:
    shared = {key: _parameter(row) for key, row in _document()["parameters"].items()}
    return tuple(_action(row, shared) for row in _document()["actions"])


def _action(row: dict[str, Any], shared: dict[str, Parameter]) -> Action:
    unless = row.get("required_unless", {})
    one_of = [replace(shared[key], required="one_of") for key in row.get("one_of", ())]
    parameters = (
        *(replace(shared[key], required="always") for key in row["required"]),
        *one_of,
        *(
            replace(shared[key], required_unless=tuple(unless.get(key, ())))
            for key in row["optional"]
        ),
    )
    return Action(
        name=row["name"],
        group=row["group"],
        purpose=row["purpose"],
        effect=row["effect"],
        parameters=parameters,
        reply=tuple(row["reply"]),
        errors=tuple(row["errors"]),
        repeat_safe=row["repeat_safe"],
        repeat_note=row["repeat_note"],
        postbacks=tuple(row["postbacks"]),
        get_form=row["get_form"],
        warnings=tuple(row.get("warnings", ())),
        one_of=tuple(parameter.name for parameter in one_of),
        aliases=tuple(row.get("aliases", ())),
        deprecated=row.get("deprecated", False),
    )


def _parameter(row: dict[str, Any]) -> Parameter:
    children = row.get("children", ())
    if isinstance(children, dict):  # a named set, shared by several parameters
        left_out = children.get("except", ())
        children = [
            child
            for name in children["from"]
            for child in _document()["fields"][name]
            if child["name"] not in left_out
        ]
    return Parameter(
        **{
            **row,
            "children": tuple(child for row_ in children for child in _numbered(row_)),
            "aliases": tuple(row.get("aliases", ())),
        },
    )


def _numbered(row: dict[str, Any]) -> list[Parameter]:
    """Return a child or, for ``label{n}`` with a count, each of label1 to that count."""
    if "count" not in row:
        return [_parameter(row)]
    plain = {key: value for key, value in row.items() if key != "count"}
    return [
        _parameter({**plain, **{key: plain[key].format(n=n) for key in ("name", "xml", "get")}})
        for n in range(1, row["count"] + 1)
    ]


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A reply code: ``retry`` is ``no``, ``later`` or ``yes``, ``kind`` the family of the fault."""

    code: str
    area: str
    kind: str
    retry: str
    meaning: str

    @property
    def retryable(self) -> bool:
        """Return whether the same call may succeed when it is repeated later."""
        return self.retry != "no"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """An HTTP status, the stable problem code that goes with it, and whether to repeat."""

    status: int
    code: str
    retryable: bool


_RATE_LIMITED = ProblemKind(429, "rate_limited", retryable=True)
_ACCOUNT = ProblemKind(502, "skycore_account", retryable=False)
_PROBLEMS = {
    "E102": _ACCOUNT,  # no credentials
    "E103": _ACCOUNT,  # MD5 password wanted, or API blocked
    "E104": _ACCOUNT,  # wrong or revoked key
    "E105": _ACCOUNT,  # no API permission
    "E106": _RATE_LIMITED,  # calls too close together
    "E107": _ACCOUNT,  # action not permitted
    "E109": _ACCOUNT,  # API not switched on
    "E111": _ACCOUNT,  # sender not of this account
    "E112": _ACCOUNT,  # our address is not on the allow-list
    "E113": _RATE_LIMITED,  # throughput of the action
    "E120": _RATE_LIMITED,  # quota used up
    "E713": _ACCOUNT,  # billing
}
_OUTCOME_UNKNOWN = "E503"  # unspecified fault: a send may have gone out


def find_error(code: str) -> ErrorCode | None:
    """Return the reply code, in any letter case; None for one that is not documented."""
    return _by_code().get(code.strip().upper())


def all_errors() -> tuple[ErrorCode, ...]:
    """Return all documented reply codes, in order."""
    return tuple(_by_code().values())


def problem_for(code: str, *, effect: str) -> ProblemKind:
    """Return the HTTP problem of a reply code, for an action of this ``effect``.

    An undocumented code is a refusal that is not worth repeating.
    """
    key = code.strip().upper()
    if key == _OUTCOME_UNKNOWN:
        return ProblemKind(504, "outcome_unknown", retryable=effect == "read")
    if problem := _PROBLEMS.get(key):
        return problem
    error = find_error(key)
    return ProblemKind(422, "skycore_rejected", retryable=error is not None and error.retryable)


@cache
def _by_code() -> dict[str, ErrorCode]:
    path = Path(__file__).with_name("error_codes.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return {row["code"]: ErrorCode(**row) for row in csv.DictReader(file)}
