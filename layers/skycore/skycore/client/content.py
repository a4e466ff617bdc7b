"""What a message may contain: texts that are visible and fit, media that Skycore can fetch."""

import ipaddress
import os
import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

_FORM = "must be an absolute http or https URL"
_INVALID = "must have a valid host"
_PRIVATE = "must have a public host, not a private, loopback or link-local address"
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a last label that makes a host an IPv4 address
_IPV4 = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}")
_MAX_HOST = 253  # characters (RFC 1035)
# Names that lead nowhere outside a network or a machine.
_INNER = (
    *("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp"),
    *("home.arpa", "in-addr.arpa", "ip6.arpa", "invalid", "onion"),
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")

type _Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class MediaUrlError(ValueError):
    """A URL that Skycore cannot fetch; the message is for the caller."""


def media_url(text: str) -> str:
    """Return the URL of a file that Skycore may fetch, in ASCII.

    The text has no line breaks and no invisible characters any more. Raises ``MediaUrlError``.
    """
    if any(character.isspace() for character in text):
        raise MediaUrlError(f"{_FORM} without spaces; write a space as %20")
    if "\\" in text:
        raise MediaUrlError(f"{_FORM} without backslashes")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise MediaUrlError(_FORM) from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise MediaUrlError(_FORM)
    if "@" in parts.netloc:
        raise MediaUrlError(f"{_FORM} without a user or password")
    own = urlsplit(os.environ.get("SKYCORE_URL", ""))
    if own.netloc and own[:2] == parts[:2]:
        return text  # a Skycore in a local network fetches from itself
    known = _address(host) if ":" in host else _public_name(host)
    if text.isascii():
        return text
    netloc = known if port is None else f"{known}:{port}"
    return parts._replace(
        netloc=netloc,
        **{
            name: quote(getattr(parts, name), safe=_ASCII) for name in ("path", "query", "fragment")
        },
    ).geturl()


def _address(host: str) -> str:
    """The address in brackets, if it is public."""
    try:
        address: _Address = ipaddress.ip_address(host)
    except ValueError:
        raise MediaUrlError(_INVALID) from None
    if "%" in host or not _is_public(address):
        raise MediaUrlError(_PRIVATE)
    return f"[{host}]" if ":" in host else host


def _public_name(host: str) -> str:
    """The name in ASCII, if it may lead to a public host."""
    name = unicodedata.normalize("NFKC", host).replace("\u3002", ".").lower().removesuffix(".")
    labels = name.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        if not _IPV4.fullmatch(name):
            raise MediaUrlError(f"{_INVALID}: an IPv4 address is four decimal numbers")
        return _address(name)
    try:
        ascii_name = name.encode("idna").decode()
    except UnicodeError:
        raise MediaUrlError(_INVALID) from None
    if len(ascii_name) > _MAX_HOST or not all(map(_LABEL.fullmatch, ascii_name.split("."))):
        raise MediaUrlError(f"{_INVALID}: names consist of letters, digits and hyphens")
    if len(labels) == 1 or any(name.endswith(f".{suffix}") for suffix in _INNER):
        raise MediaUrlError("must have a public host, not a name of a local network")
    return ascii_name


def _is_public(address: _Address) -> bool:
    """Whether an address, and an IPv4 address inside it, can be reached from the internet."""
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return False
    return all(one.is_global and not one.is_multicast for one in (address, *_embedded(address)))


def _embedded(address: _Address) -> list[ipaddress.IPv4Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or address in _COMPATIBLE:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]


_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def find_invalid_character(text: str) -> str | None:
    """Why XML 1.0 cannot carry a text, or None when it can.

    Tabs and line breaks are fine; other control characters, halves of surrogate pairs and the two
    non-characters U+FFFE and U+FFFF are not.
    """
    bad = _NOT_XML.search(text)
    if bad is None:
        return None
    code = ord(bad[0])
    what = (
        "half of a surrogate pair"
        if 0xD800 <= code <= 0xDFFF
        else "a control character"
        if code < 0x20
        else "a character"
    )
    place = f"U+{code:04X}, character {bad.start() + 1}"
    return f"must not have {what} that XML cannot carry ({place})"


# Characters without a glyph that Unicode does not list as format characters or spaces.
_NO_GLYPH = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
_NO_GLYPHS = ("Cc", "Cf", "Zl", "Zp", "Zs")


def has_visible_character(text: str) -> bool:
    """Whether a reader sees anything: more than spaces, controls and invisible characters."""
    return any(
        unicodedata.category(character) not in _NO_GLYPHS for character in _NO_GLYPH.sub("", text)
    )


def describe_character(text: str, index: int) -> str:
    """A character of a text, with its place, such as ``character 3 (é, U+00E9 …)``."""
    character = text[index]
    shown = f"{character}, " if character.isprintable() else ""
    name = unicodedata.name(character, "")
    return f"character {index + 1} ({shown}U+{ord(character):04X}{name and ' '}{name})"


_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
)
_EXTENSION = frozenset("\f^{}\\[~]|€")  # each is an escape and a character
_MAX_PARTS = 255  # the part number is one byte


@dataclass(frozen=True, slots=True)
class SmsLength:
    """``units`` of one SMS's ``single``; ``many`` is what the most parts can carry together.

    Units are septets of GSM-7, or 16-bit units of UCS-2 as soon as one character needs it;
    ``forced_by`` is the index of the first such character.
    """

    alphabet: str
    units: int
    single: int
    many: int
    forced_by: int | None = None


def sms_length(text: str) -> SmsLength:
    """Measure a text: 160 septets or 70 UCS-2 units fit into one SMS."""
    septets = 0
    for index, character in enumerate(text):
        if character in _BASIC:
            septets += 1
        elif character in _EXTENSION:
            septets += 2
        else:
            units = len(text.encode("utf-16-le", "surrogatepass")) // 2
            return SmsLength("UCS-2 units", units, 70, 67 * _MAX_PARTS, index)
    return SmsLength("GSM-7 septets", septets, 160, 153 * _MAX_PARTS)
