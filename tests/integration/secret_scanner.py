"""Search bytes for secrets in every encoding that they may be written in."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus


def _base64(raw: bytes, shift: int) -> bytes:
    """The characters that depend on `raw` alone, where it starts `shift` bytes into a group."""
    text = base64.b64encode(b"\0" * shift + raw)
    first = -(-shift * 8 // 6)  # characters that the bytes before have a part in
    last = (shift + len(raw)) * 8 // 6  # those that the bytes after have no part in
    return text[first:last]


def forms(secret: str) -> dict[str, bytes]:
    """The secret's bytes by the name of how it is written. Every one is a proof of a leak."""
    raw = secret.encode()
    found = {
        "plain": raw,
        "upper case": secret.upper().encode(),
        "latin-1": secret.encode("latin-1", "ignore"),
        "utf-16-le": secret.encode("utf-16-le"),
        "utf-16-be": secret.encode("utf-16-be"),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "json": json.dumps(secret)[1:-1].encode(),
        "json of json": json.dumps(json.dumps(secret))[3:-3].encode(),
        "json, not ascii": json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        "url": quote(secret, safe="").encode(),
        "url, lower case": _lower(quote(secret, safe="")).encode(),
        "url path": quote(secret).encode(),
        "form": quote_plus(secret).encode(),
        "html": html.escape(secret).encode(),
        "xml": html.escape(secret, quote=False).encode(),
        "character references": secret.encode("ascii", "xmlcharrefreplace"),
        "html and references": html.escape(secret).encode("ascii", "xmlcharrefreplace"),
        "hex references": "".join(c if c.isascii() else f"&#x{ord(c):x};" for c in secret).encode(),
        "xml and references": html.escape(secret, quote=False).encode("ascii", "xmlcharrefreplace"),
        "repr": repr(secret)[1:-1].encode(),
        "ascii": ascii(secret)[1:-1].encode(),
        "repr of bytes": str(raw)[2:-1].encode(),
        "every byte escaped": "".join(f"%{byte:02X}" for byte in raw).encode(),
    }
    for shift in range(3):
        found[f"base64+{shift}"] = _base64(raw, shift)
        found[f"base64url+{shift}"] = _base64(raw, shift).translate(bytes.maketrans(b"+/", b"-_"))
        found[f"base64+{shift} of utf-16"] = _base64(secret.encode("utf-16-le"), shift)
    return {name: form for name, form in found.items() if len(form) >= 6}


def number_forms(digits: str) -> dict[str, bytes]:
    """Ways to write a North American number of 11 digits, country code first."""
    area, office, line = digits[1:4], digits[4:7], digits[7:]
    written = {
        "national": digits[1:],
        "with dashes": f"{area}-{office}-{line}",
        "with blanks": f"{area} {office} {line}",
        "with brackets": f"({area}) {office}-{line}",
        "with dots": f"{area}.{office}.{line}",
    }
    found = {**forms(digits), **forms(digits[1:])}
    return found | {name: text.encode() for name, text in written.items()}


def search(haystack: bytes, secrets: dict[str, dict[str, bytes]]) -> list[str]:
    """What of the secrets, by name and form, is in the text."""
    return sorted(
        f"{name} as {form}"
        for name, written in secrets.items()
        for form, needle in written.items()
        if needle in haystack
    )


def _lower(quoted: str) -> str:
    parts = quoted.split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])
