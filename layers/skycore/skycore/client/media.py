"""Check media URLs: refuse what Skycore could not fetch before the message is accepted."""

import ipaddress
import os
import re
import unicodedata
from urllib.parse import quote, urlsplit

import idna

_FORM = "must be an absolute http or https URL"
_INVALID = "must have a valid host"
_PRIVATE = "must have a public host, not a private, loopback or link-local address"
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL_OF_SUBDOMAIN = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")  # as of S3 buckets
_NOT_ESCAPED = re.compile('[<>"]')
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a last label that makes a host an IPv4 address
_IPV4 = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}")
_MAX_HOST = 253  # characters (RFC 1035)
# Names that lead nowhere outside a network or a machine, or nowhere at all (RFC 2606, 6761, 9476).
_INNER = (
    *("localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp"),
    *("private", "svc", "home.arpa", "in-addr.arpa", "ip6.arpa", "onion"),
    *("test", "example", "invalid", "alt"),
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # all of IPv6 that is given out (RFC 4291)
_DOCUMENTATION = ipaddress.ip_network("3fff::/20")  # RFC 9637

type _Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class MediaUrlError(ValueError):
    """A URL that Skycore cannot fetch; the message is for the caller."""


def media_url(text: str) -> str:
    """Return the URL of a file that Skycore may fetch, in ASCII.

    Line breaks and invisible characters must be removed already. Raises ``MediaUrlError``.
    """
    if any(character.isspace() for character in text):
        raise MediaUrlError(f"{_FORM} without spaces; write a space as %20")
    if "\\" in text:
        raise MediaUrlError(f"{_FORM} without backslashes")
    if wrong := _NOT_ESCAPED.search(text):
        raise MediaUrlError(f"{_FORM}; write {wrong[0]} as {quote(wrong[0])}")
    if _BAD_ESCAPE.search(text):
        raise MediaUrlError(
            f"{_FORM}; two hexadecimal digits must follow each %; write a % itself as %25"
        )
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
    if own.hostname and (own.scheme, own.hostname) == (parts.scheme, parts.hostname):
        return text  # a Skycore in a local network fetches from itself, from any of its ports
    public_host = _address(host) if ":" in host else _public_name(host)
    if text.isascii():
        return text
    netloc = public_host if port is None else f"{public_host}:{port}"
    return parts._replace(
        netloc=netloc,
        **{
            name: quote(getattr(parts, name), safe=_ASCII) for name in ("path", "query", "fragment")
        },
    ).geturl()


def _address(host: str) -> str:
    """Return a public address, an IPv6 address in brackets. Raises MediaUrlError."""
    try:
        address: _Address = ipaddress.ip_address(host)
    except ValueError:
        raise MediaUrlError(_INVALID) from None
    if "%" in host or not _is_public(address):
        raise MediaUrlError(_PRIVATE)
    return f"[{host}]" if ":" in host else host


def _public_name(host: str) -> str:
    """Return the name in ASCII if it may lead to a public host. Raises MediaUrlError."""
    name = unicodedata.normalize("NFKC", host).replace("\u3002", ".").lower().removesuffix(".")
    labels = name.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        if not _IPV4.fullmatch(name):
            raise MediaUrlError(f"{_INVALID}: an IPv4 address is four decimal numbers")
        return _address(name)
    if len(name) > _MAX_HOST:
        raise MediaUrlError(_INVALID)
    try:
        labels = [label if label.isascii() else idna.alabel(label).decode() for label in labels]
    except UnicodeError:
        raise MediaUrlError(_INVALID) from None
    valid = [_LABEL.fullmatch(label) for label in labels[-2:]]
    valid += [_LABEL_OF_SUBDOMAIN.fullmatch(label) for label in labels[:-2]]
    ascii_name = ".".join(labels)
    if len(ascii_name) > _MAX_HOST or not all(valid):
        raise MediaUrlError(f"{_INVALID}: names consist of letters, digits and hyphens")
    if len(labels) == 1 or any(ascii_name.endswith(f".{suffix}") for suffix in _INNER):
        raise MediaUrlError("must have a public host, not a local or reserved name")
    return ascii_name


def is_public_address(text: str) -> bool:
    """Return whether an IP address as text, with a zone perhaps, can be reached publicly."""
    try:
        return _is_public(ipaddress.ip_address(text))
    except ValueError:
        return False


def _is_public(address: _Address) -> bool:
    """Return whether an address, and an IPv4 address inside it, are reachable from the internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _GLOBAL_UNICAST or address in _DOCUMENTATION:
            return False
    return all(one.is_global and not one.is_multicast for one in (address, *_embedded(address)))


def _embedded(address: _Address) -> list[ipaddress.IPv4Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [address.sixtofour, *(address.teredo or ())]
    return [one for one in found if one is not None]
