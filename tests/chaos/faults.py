"""What may go wrong between a function and a service of AWS, and how often: data.

A fault is chosen by a random number of its operation's own: the nth PutItem of a seed fails the
same way in every run, whatever else goes on beside it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

type Kind = Literal[
    "error",  # HTTP 500, nothing done
    "unavailable",  # HTTP 503, nothing done
    "throttle",  # the service's own way to say: too fast
    "slow",  # the answer comes SLOW_SECONDS late
    "silence",  # the work is done, the answer never comes
    "reset_before",  # the connection breaks, nothing done
    "reset_after",  # the work is done, then the connection breaks
    "partial",  # some entries of a batch are refused
    "twice",  # the work is done twice, as SQS and SNS may deliver twice
    "die_before",  # the function is killed, nothing done
    "die_after",  # the work is done, then the function is killed
]

SLOW_SECONDS = (0.3, 1.5)  # the functions' read timeout is 3 seconds
SILENCE_SECONDS = 3.5  # just over it
PARTIAL_SHARE = 0.4  # of a batch's entries are refused

# Every call of any service: one in twelve. The functions' waits between tries are what takes time.
EVERYWHERE: dict[Kind, float] = {
    "error": 0.02,
    "unavailable": 0.01,
    "throttle": 0.025,
    "slow": 0.003,
    "silence": 0.001,
    "reset_before": 0.01,
    "reset_after": 0.01,
}
# On top of it, where it matters most: 20% in all.
MORE: dict[str, dict[Kind, float]] = {
    "BatchGetItem": {"partial": 0.12},
    "BatchWriteItem": {"partial": 0.11, "die_after": 0.01},
    "PublishBatch": {"partial": 0.09, "twice": 0.02, "die_before": 0.005, "die_after": 0.005},
    "SendMessageBatch": {"partial": 0.1, "twice": 0.02},
    "SendMessage": {"twice": 0.07, "throttle": 0.05},
    "PutItem": {"reset_after": 0.1, "die_after": 0.002},
    "UpdateItem": {"reset_after": 0.07, "die_before": 0.0005, "die_after": 0.0005},
    "GetSecretValue": {"error": 0.12},
}

# service: (HTTP status, code) of its throttling. SNS's is one that botocore does not repeat.
THROTTLES: dict[str, tuple[tuple[int, str], ...]] = {
    "dynamodb": ((400, "ProvisionedThroughputExceededException"), (400, "ThrottlingException")),
    "sqs": ((400, "ThrottlingException"),),
    "sns": ((429, "Throttled"),),
    "secretsmanager": ((400, "ThrottlingException"),),
}


@dataclass(frozen=True, slots=True)
class Faults:
    """A seed and how much of the rates above is in force (1: all; 0: none)."""

    seed: int
    share: float = 1.0
    without: frozenset[Kind] = frozenset()

    def rates(self, operation: str) -> dict[Kind, float]:
        """How often each fault comes to calls of `operation`."""
        more = MORE.get(operation, {})
        return {
            kind: self.share * (EVERYWHERE.get(kind, 0) + more.get(kind, 0))
            for kind in EVERYWHERE | more
            if kind not in self.without
        }

    def chance(self, operation: str, number: int) -> random.Random:
        """The random numbers of the `number`th call of `operation`."""
        return random.Random(f"{self.seed} {operation} {number}")

    def of(self, operation: str, number: int) -> Kind | None:
        """What befalls the `number`th call of `operation`; None: nothing."""
        drawn = self.chance(operation, number).random()
        for kind, rate in self.rates(operation).items():
            drawn -= rate
            if drawn < 0:
                return kind
        return None
