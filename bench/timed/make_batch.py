"""What making the batches themselves costs, to be taken off store's time."""

import sys
from itertools import count

from clock import measure
from receipts import queue_event, receipt

size = int(sys.argv[1])
numbers = count()
measure(lambda: queue_event([receipt(next(numbers)) for _ in range(size)]), 600 // size, items=size)
