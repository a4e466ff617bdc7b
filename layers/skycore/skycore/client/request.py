"""Write requests: the XML of a POST, the query of a GET."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any, Self
from urllib.parse import urlencode

from skycore.catalogue.actions import Action, Parameter
from skycore.client.errors import CredentialsMissing

# Printable ASCII without spaces, quotes, brackets, `name=` and the like; base64 may end in =.
_KEY = re.compile(r"[A-Za-z0-9!#$%&*+./?@^_|~-]{1,255}={0,2}")
_NO_MEMBER = 'the secret is a JSON object without "api_key", or "user" and "password"'
_AROUND = " \t\r\n\0\ufeff\u200b\u00a0"  # what editors and consoles leave around a value
_QUOTES = ('"', "'", "`")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def request_xml(action: Action, fields: Mapping[str, Any], credentials: Mapping[str, str]) -> str:
    """Return the XML of a request, from prepared fields and the elements of the credentials."""
    parts = [_element("ACTION", action.name)]
    parts += [_element(name, value) for name, value in credentials.items()]
    for parameter in action.parameters:
        if parameter.name in fields:
            parts += _elements(parameter, fields[parameter.name])
    return f"<REQUEST>{''.join(parts)}</REQUEST>"


def request_query(action: Action, fields: Mapping[str, Any], credentials: Mapping[str, str]) -> str:
    """Return the URL-encoded query of the GET form; secret, since it holds the credentials."""
    pairs = [("action", action.name.lower())]
    pairs += [(name.lower(), value) for name, value in credentials.items()]
    for parameter in action.parameters:
        if parameter.name in fields:
            pairs += _pairs(parameter, fields[parameter.name])
    return urlencode(pairs)


def _elements(parameter: Parameter, value: Any) -> Iterator[str]:
    if parameter.repeated:
        for entry in value:
            yield _element(parameter.xml, "".join(_children(parameter, entry)), markup=True)
    elif parameter.kind == "pass_data":
        yield _element(parameter.xml, "".join(_children(parameter, value)), markup=True)
    elif parameter.kind == "data":
        entries = "".join(_element(name.upper(), text) for name, text in value.items())
        yield _element(parameter.xml, entries, markup=True)
    elif (text := _wire(parameter, value)) is not None:
        yield _element(parameter.xml, text)


def _children(parameter: Parameter, entry: Mapping[str, Any]) -> Iterator[str]:
    for child in parameter.children:
        if child.name in entry:
            yield from _elements(child, entry[child.name])


def _pairs(parameter: Parameter, value: Any) -> Iterator[tuple[str, str]]:
    if parameter.kind == "custom_text":
        for entry in value:
            yield f"customtext_{entry['slide']}", entry["value"]
    elif parameter.kind == "pass_data":
        for child in parameter.children:
            if child.name in value:
                yield from _pairs(child, value[child.name])
    elif parameter.get is not None and parameter.kind == "data":
        for name, text in value.items():
            yield parameter.get.format(field=name), text
    elif parameter.get is not None and (text := _wire(parameter, value)) is not None:
        yield parameter.get, text


def _wire(parameter: Parameter, value: Any) -> str | None:
    if parameter.kind == "yes_no":
        return "yes" if value else "no"
    if parameter.kind == "true_only":
        return "true" if value else None  # no word for false is documented: leave it out
    return str(value)


def _element(path: str, text: str, *, markup: bool = False) -> str:
    # a carriage return would be read as a line feed if it were not escaped
    content = text if markup else text.translate(_ESCAPES)
    for tag in reversed(path.split("/")):
        content = f"<{tag}>{content}</{tag}>"
    return content


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key, or the older user and password; some accounts and actions want both.

    The password stays here: Skycore is given its MD5 digest, as its docs demand.
    """

    api_key: str | None = field(default=None, repr=False)
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a stored secret: the API key alone, or a JSON object.

        The object has ``api_key``, or ``user`` and ``password``. What editors, shells and consoles
        add is left out: byte order marks, spaces and line ends around it, and quotes. Raises
        ``CredentialsMissing``, without quoting the text, when there is nothing usable in it.
        """
        plain = unquote_secret(text)
        if not plain.startswith("{"):
            key = plain
            parts: dict[str, str] = {"api_key": key} if key else {}
        else:
            parts = _members(plain)
        credentials = cls(**parts)
        if not credentials.usable:
            raise CredentialsMissing(_NO_MEMBER if plain.startswith("{") else None)
        if credentials.api_key and not _KEY.fullmatch(credentials.api_key):
            raise CredentialsMissing(
                "the API key in the secret has spaces or other characters that no key has;"
                " store the key alone"
            )
        return credentials

    @property
    def usable(self) -> bool:
        """Whether there is an API key, or a user with a password."""
        return bool(self.api_key) or bool(self.user and self.password)

    @property
    def elements(self) -> dict[str, str]:
        """The elements of a request that carry the credentials; secret."""
        elements = {}
        if self.api_key:
            elements["API_KEY"] = self.api_key
        if self.user and self.password:
            elements["USER"] = self.user
        if self.password:
            digest = md5(self.password.encode(), usedforsecurity=False)
            elements["PASS"] = digest.hexdigest()
        return elements


def unquote_secret(text: str) -> str:
    """Return the text without the byte order marks, spaces, line ends and quotes around it."""
    plain = text.strip(_AROUND)
    while len(plain) > 1 and plain[0] in _QUOTES and plain[-1] == plain[0]:
        inner = plain[1:-1]
        if plain[0] == '"' and '\\"' in inner:  # a JSON text that holds JSON
            inner = inner.replace('\\"', '"').replace("\\n", "\n")
        plain = inner.strip(_AROUND)
    return plain


def _members(plain: str) -> dict[str, str]:
    """Return the credentials in a JSON object, whose names may be in any letter case."""
    reason = ""
    try:
        document = json.loads(plain)
    except ValueError:
        reason = "the secret looks like a JSON object but is not valid JSON"
    if reason:
        raise CredentialsMissing(reason)
    given = {name.strip(_AROUND).lower().replace("-", "_"): part for name, part in document.items()}
    parts = {}
    for name in ("api_key", "user", "password"):
        part = given.get(name, given.get(name.replace("_", "")))
        if isinstance(part, str | int) and not isinstance(part, bool) and str(part).strip(_AROUND):
            parts[name] = str(part) if name == "password" else unquote_secret(str(part))
    return parts
