"""Secrets, kept in the process for five minutes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from skycore.aws import clients

KEEP_SECONDS = 300.0


@dataclass(slots=True)
class Secret:
    """One secret: its current value and, while a rotation lasts, the previous one."""

    name: str
    stages: tuple[str, ...] = ("AWSCURRENT",)
    _values: tuple[str, ...] = ()
    _read_at: float = field(default=float("-inf"))

    def values(self, *, not_older_than: float = KEEP_SECONDS) -> tuple[str, ...]:
        """The values of the stages that have one, read again if older than the given seconds.

        Raises botocore's ClientError or BotoCoreError if the secret cannot be read.
        """
        if time.monotonic() - self._read_at > not_older_than:
            found = (self._value(stage) for stage in self.stages)
            self._values = tuple(value for value in found if value)
            self._read_at = time.monotonic()
        return self._values

    def _value(self, stage: str) -> str | None:
        try:
            answer = clients.secretsmanager().get_secret_value(
                SecretId=self.name, VersionStage=stage
            )
        except ClientError as error:
            # A secret without a value, or without a previous one.
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise
        return answer.get("SecretString")
