"""Faults need the deployed stack too: the same one, brought up for this folder."""

from __future__ import annotations

from tests.integration.conftest import sms, stack

__all__ = ["sms", "stack"]
