"""Floor of intake: defusedxml's parse of the same bytes."""

from defusedxml.ElementTree import fromstring

from bench.timed.clock import measure
from bench.timed.receipts import receipt

body = receipt(0)
measure(lambda: fromstring(body), 10000)
