"""The deployed local stack, as the integration tests have it."""

from tests.integration.conftest import sms, stack

__all__ = ["sms", "stack"]
