"""In a function's PYTHONPATH: the function dies when an answer of the proxy says so.

It dies as a killed function does: at once, in the middle of a call, without a word.
"""

import os
from http.client import HTTPResponse

_begin = HTTPResponse.begin


def _begin_or_die(self: HTTPResponse) -> None:
    _begin(self)
    if self.getheader("X-Die"):
        os._exit(9)


HTTPResponse.begin = _begin_or_die  # type: ignore[method-assign]
