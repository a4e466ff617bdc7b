"""One call of Skycore, and what its outcome means."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from skycore import metrics
from skycore.api import CredentialsMissing, NotSent, OutcomeUnknown, Refused
from skycore.catalogue.errors import find_error
from skycore.logs import log
from skycore.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skycore.api import Reply, SkycoreClient
    from skycore.catalogue.actions import Action
    from skycore.flows.gate import Slot

# Answers that stand: the message may be, or will never be, at Skycore. Any other problem proves
# that nothing was sent.
KEPT = frozenset({"skycore_rejected", "outcome_unknown"})


def call(
    skycore: SkycoreClient,
    action: Action,
    fields: Mapping[str, Any],
    *,
    slot: Slot,
    deadline: float,
    message_id: str | None = None,
    transport: Literal["post", "get"] = "post",
) -> Reply:
    """Skycore's reply to prepared `fields`, got before `deadline` (monotonic seconds).

    Raises Problem: skycore_unreachable, skycore_rejected, rate_limited, skycore_account or
    outcome_unknown.
    """
    known: dict[str, Any] = {"message_id": message_id}
    began = time.monotonic()
    try:
        return skycore.call(
            action,
            fields,
            prepared=True,
            deadline=deadline,
            transport=transport,
            before=slot.check,
            again=slot.renew,
        )
    except NotSent as error:
        problem = Problem("skycore_unreachable", "no connection to Skycore was made", **known)
        _log(action, problem, error.reason, message_id)
    except CredentialsMissing as error:
        detail = "no Skycore API key is set; run python -m ops --stack NAME set-key"
        problem = Problem("skycore_account", detail, **known)
        _log(action, problem, str(error), message_id)
    except Refused as error:
        problem = _refusal(error, known)
        _log(action, problem, error.code, message_id)
    except OutcomeUnknown as error:
        # The reason is one of our own phrases or an HTTP status: it quotes nothing of the call.
        problem = Problem(
            "outcome_unknown",
            f"Skycore gave no clear answer ({error.reason}); it may have taken the request",
            retryable=action.effect == "read",
            **known,
        )
        _log(action, problem, error.reason, message_id)
    finally:
        metrics.record("SkycoreSeconds", time.monotonic() - began)
    metrics.count("AccountErrors", problem.code == "skycore_account")
    raise problem


def _refusal(error: Refused, known: Mapping[str, Any]) -> Problem:
    known_code = find_error(error.code)
    meaning = known_code.meaning if known_code else "Skycore refused the request"
    kept = known["message_id"] is not None and error.problem.code in KEPT
    if kept and error.problem.retryable:
        meaning += "; a later try, under a new Idempotency-Key, may succeed"
    return Problem(
        error.problem.code,
        meaning,
        retryable=error.problem.retryable,
        retry_after=error.retry_after,
        skycore_code=error.code or None,
        **known,
    )


def _log(action: Action, problem: Problem, reason: str, message_id: str | None) -> None:
    log.warning(
        "Skycore call failed",
        extra={
            "action": action.name,
            "problem": problem.code,
            "reason": reason,
            "message_id": message_id,
        },
    )
