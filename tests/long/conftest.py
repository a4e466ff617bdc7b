"""The deployed local stack, as the integration tests have it."""

from tests.integration.conftest import stack

__all__ = ["stack"]
