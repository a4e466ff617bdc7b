"""POST /postbacks/{token}: 200 once the postback queue has the raw bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from skycore.aws.secrets import Secret
from skycore.handler import invocation
from skycore.http import Answer, answer, serve
from skycore.receiving.ack import acknowledge
from skycore.settings import load

if TYPE_CHECKING:
    from skycore.http import Request


@dataclass(frozen=True)
class Settings:
    postback_queue_url: str
    token_secret: str


@cache
def settings() -> Settings:
    return load(Settings)


@cache
def secret() -> Secret:
    return Secret(settings().token_secret, stages=("AWSCURRENT", "AWSPREVIOUS"))


@invocation
def handler(event: dict[str, Any], _context: object) -> Answer:
    return serve(event, _postback)


def _postback(request: Request) -> Answer:
    token = request.path.get("item", "")
    acknowledge(request.body, token, secret=secret(), queue_url=settings().postback_queue_url)
    return answer(200)
