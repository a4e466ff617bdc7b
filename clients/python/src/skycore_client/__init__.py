"""A client of Skycore on AWS: send messages, read them, and handle events."""

from skycore_client.client import NO_KEY, Client, Message
from skycore_client.errors import (
    AccountProblem,
    Forbidden,
    GatewayFailure,
    InProgress,
    InvalidRequest,
    NoAnswer,
    NotCancellable,
    NotFound,
    OutcomeUnknown,
    Problem,
    RateLimited,
    RecipientOptedOut,
    SkycoreError,
    SkycoreRejected,
    Unavailable,
)
from skycore_client.events import (
    RANKS,
    Event,
    InboundMessage,
    MediaKept,
    MessageEvent,
    SubscriptionEvent,
    parse_event,
)
from skycore_client.subscriber import BeingHandled, DynamoDBStore, MemoryStore, Store, Subscriber

__version__ = "1.0.0"

__all__ = [
    "NO_KEY",
    "RANKS",
    "AccountProblem",
    "BeingHandled",
    "Client",
    "DynamoDBStore",
    "Event",
    "Forbidden",
    "GatewayFailure",
    "InProgress",
    "InboundMessage",
    "InvalidRequest",
    "MediaKept",
    "MemoryStore",
    "Message",
    "MessageEvent",
    "NoAnswer",
    "NotCancellable",
    "NotFound",
    "OutcomeUnknown",
    "Problem",
    "RateLimited",
    "RecipientOptedOut",
    "SkycoreError",
    "SkycoreRejected",
    "Store",
    "Subscriber",
    "SubscriptionEvent",
    "Unavailable",
    "parse_event",
]
