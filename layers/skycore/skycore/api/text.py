"""What text a request can carry."""

import re

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def flaw_of(text: str) -> str | None:
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
    return f"has {what} (U+{code:04X}, character {bad.start() + 1}) that XML cannot carry"
