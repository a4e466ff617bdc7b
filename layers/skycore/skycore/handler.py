"""What every handler is wrapped in: ids on its log lines, its metrics written in the end."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from skycore import logs, metrics
from skycore.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable


class InvocationError(RuntimeError):
    """A handler failed; its text is the type of the error alone, whose own text may quote data."""


def invocation[Event, Result](
    handle: Callable[[Event, Any], Result],
) -> Callable[[Event, Any], Result]:
    """A Lambda handler around `handle`.

    Raises SettingsError as it is, and InvocationError for any other error: Lambda logs the text
    of what a handler raises.
    """

    @wraps(handle)
    def handler(event: Event, context: Any) -> Result:
        request = event.get("requestContext", {}) if isinstance(event, dict) else {}
        logs.begin(
            request_id=getattr(context, "aws_request_id", None),
            api_request_id=request.get("requestId"),
        )
        try:
            return handle(event, context)
        except SettingsError:
            raise
        except Exception as error:  # noqa: BLE001 - raised again without its text
            logs.log_exception("invocation failed", error)
            raise InvocationError(type(error).__name__) from None
        finally:
            metrics.flush()

    return handler
