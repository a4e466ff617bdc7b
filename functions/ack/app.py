"""POST /postbacks/{token}: 200 once the postback queue has the raw bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from skycore.aws.secrets import Secret
from skycore.handler import Answer, answer, answer_error, body_of, lambda_handler
from skycore.receiving.ack import acknowledge
from skycore.settings import load


@dataclass(frozen=True)
class Settings:
    postback_queue_url: str
    token_secret: str


@cache
def secret() -> Secret:
    return Secret(load(Settings).token_secret, stages=("AWSCURRENT", "AWSPREVIOUS"))


@lambda_handler
def handler(event: dict[str, Any], _context: object) -> Answer:
    # The route is /postbacks/{item}: API Gateway allows one variable name per place in a path.
    token = (event.get("pathParameters") or {}).get("item", "")
    try:
        acknowledge(
            body_of(event), token, secret=secret(), queue_url=load(Settings).postback_queue_url
        )
    except Exception as error:  # noqa: BLE001 - answered, and logged without its text
        return answer_error(error, route=event.get("resource"))
    return answer(200)
