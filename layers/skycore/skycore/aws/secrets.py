"""Secrets, kept in the process for five minutes."""

from __future__ import annotations

import codecs
import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from skycore.aws import clients
from skycore.logs import log, redact_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEEP_SECONDS = 300.0
# No such secret or no such value of it; a secret that is scheduled for deletion.
_NO_VALUE = frozenset(("ResourceNotFoundException", "InvalidRequestException"))


@dataclass(frozen=True, slots=True)
class _Kept:
    """A stage's value, None if it has none, and when it was read (monotonic seconds)."""

    value: str | None = field(repr=False)
    read_at: float


@dataclass(slots=True)
class Secret:
    """One secret: its current value and, while a rotation lasts, the previous one.

    `is_text` is False while a value is binary that is not text; such a value counts as not set.
    """

    name: str
    stages: tuple[str, ...] = ("AWSCURRENT",)
    is_text: bool = True
    _kept: dict[str, _Kept] = field(default_factory=dict, repr=False)

    def values(self, *, not_older_than: float = KEEP_SECONDS) -> Iterator[str]:
        """Yield the values of the stages that have one, each read when it is asked for.

        A value older than the given seconds is read again; while that fails, the kept one is
        used. Raises botocore's ClientError or BotoCoreError if nothing of the stage is kept.
        """
        for stage in self.stages:
            value = self._value(stage, not_older_than)
            if value:
                yield value

    def _value(self, stage: str, not_older_than: float) -> str | None:
        kept = self._kept.get(stage)
        if kept and time.monotonic() - kept.read_at <= not_older_than:
            return kept.value
        try:
            value = self._read(stage)
        except (BotoCoreError, ClientError) as error:
            if kept is None:
                raise
            log.warning("secret not refreshed", extra={"error": type(error).__name__})
            value = kept.value
        if stage == self.stages[0]:
            if kept is None or value != kept.value:
                self._kept.clear()  # it was rotated: the kept previous value is out of date
            if not value:
                return None  # not kept, so that a value set now is used at once
        self._kept[stage] = _Kept(value, time.monotonic())
        return value

    def _read(self, stage: str) -> str | None:
        try:
            answer = clients.secretsmanager().get_secret_value(
                SecretId=self.name, VersionStage=stage
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _NO_VALUE:
                return None
            raise
        try:
            value = _text(answer)
        except UnicodeDecodeError:
            value, self.is_text = None, False
            log.error("secret is binary, not text; treated as not set")
        else:
            self.is_text = True
        redact_secret(value)
        return value


def _text(answer: Mapping[str, Any]) -> str | None:
    """Return the secret's text, even if stored as binary, without what editors put around it.

    They add a byte order mark, spaces and line ends. Raises UnicodeDecodeError, which quotes it.
    """
    text, data = answer.get("SecretString"), answer.get("SecretBinary")
    if text is None and data is not None:
        encoding = "utf-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"
        text = data.decode(encoding)
    return text.strip(" \t\r\n\0\ufeff") if text else None


FINGERPRINT = 12  # hexadecimal digits: 48 bits of a hash of 280 tell tokens apart, and no more


def fingerprint(token: str) -> str:
    """Return the first 12 hexadecimal digits of the token's SHA-256, which do not reveal it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:FINGERPRINT]
