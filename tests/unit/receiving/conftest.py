"""The table, the topic and the queues in memory."""

from tests.unit.sending.conftest import outside, table

__all__ = ["outside", "table"]
