"""Checks of the queues, the event topic and the stack's own subscription."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ops.doctor.check import Check, Finding
from ops.doctor.deployment import document, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.doctor.deployment import Deployment

FROM_TOPIC = ("EventQueue", "EventDeadLetterQueue")  # the queues that the topic delivers to


def queue_policies(deployment: Deployment) -> Iterator[Finding]:
    """Check that each statement names its own queue alone, and that only the topic may deliver."""
    topic = deployment.stack.topic
    for name, attributes in deployment.queues.items():
        statements = document(attributes.get("Policy"))
        fix = _put_policy(deployment, name)
        if not statements:
            yield Finding(f"{name} has no policy, so it accepts plain HTTP", fix)
            continue
        for statement in statements:
            resources = listed(statement["Resource"])
            if len(resources) > 1:
                yield Finding(f"a statement of {name}'s policy names {len(resources)} queues", fix)
            elif resources[0] not in {"*", attributes["QueueArn"]}:
                yield Finding(f"a statement of {name}'s policy names another queue", fix)
        allowed = [row for row in statements if row["Effect"] == "Allow"]
        if name in FROM_TOPIC and not any(_is_topic(row, topic) for row in allowed):
            yield Finding(f"{name}'s policy does not let the event topic deliver", fix)
        if [row for row in allowed if name not in FROM_TOPIC or not _is_topic(row, topic)]:
            yield Finding(f"{name}'s policy allows more than the template does", fix)


def tls_only(deployment: Deployment) -> Iterator[Finding]:
    """Every queue and the topic deny calls without TLS."""
    for name, attributes in deployment.queues.items():
        if not _denies_plain_http(attributes.get("Policy")):
            yield Finding(f"{name} accepts plain HTTP", _put_policy(deployment, name))
    topic = deployment.stack.topic
    attributes = deployment.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
    if not _denies_plain_http(attributes.get("Policy")):
        fix = f"restore statement TlsOnly of EventTopicPolicy in the policy of {topic}"
        yield Finding("the event topic accepts plain HTTP", fix)


def event_subscription(deployment: Deployment) -> Iterator[Finding]:
    """The event queue is subscribed, raw, with a dead-letter queue."""
    queues, topic = deployment.queues, deployment.stack.topic
    endpoint = queues["EventQueue"]["QueueArn"]
    dead = {"deadLetterTargetArn": queues["EventDeadLetterQueue"]["QueueArn"]}
    own = [row for row in deployment.subscriptions if row["Endpoint"] == endpoint]
    attributes = {"RawMessageDelivery": "true", "RedrivePolicy": json.dumps(dead)}
    if not own:
        words = ("--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", endpoint)
        fix = deployment.aws("sns", "subscribe", *words, "--attributes", json.dumps(attributes))
        yield Finding("the event queue is not subscribed to the event topic", fix)
        return
    arn = own[0]["SubscriptionArn"]
    found = deployment.client("sns").get_subscription_attributes(SubscriptionArn=arn)["Attributes"]

    def restore(name: str) -> str:
        words = ("--subscription-arn", arn, "--attribute-name", name)
        value = ("--attribute-value", attributes[name])
        return deployment.aws("sns", "set-subscription-attributes", *words, *value)

    if found.get("RawMessageDelivery") != "true":
        detail = "raw delivery is off for the event queue: events arrive in an SNS envelope"
        yield Finding(detail, restore("RawMessageDelivery"))
    redrive = json.loads(found.get("RedrivePolicy") or "{}")
    if redrive.get("deadLetterTargetArn") != dead["deadLetterTargetArn"]:
        detail = "the event queue's subscription has no dead-letter queue"
        yield Finding(detail, restore("RedrivePolicy"))


def redrive_policies(deployment: Deployment) -> Iterator[Finding]:
    """Each queue that a function or a subscriber reads has its own dead-letter queue."""
    for name, attributes in deployment.queues.items():
        dead = name.removesuffix("Queue") + "DeadLetterQueue"
        if dead not in deployment.queues:
            continue
        target = deployment.queues[dead]["QueueArn"]
        redrive = json.loads(attributes.get("RedrivePolicy") or "{}")
        if redrive.get("deadLetterTargetArn") != target:
            fix = f"restore the redrive policy of {name} from template.yaml; its target is {target}"
            yield Finding(f"{name} has no dead-letter queue of this stack", fix)


def _is_topic(statement: dict[str, Any], topic: str) -> bool:
    """Whether a statement lets this topic, and nothing else, send messages."""
    return (
        statement.get("Principal") == {"Service": "sns.amazonaws.com"}
        and [action.lower() for action in listed(statement["Action"])] == ["sqs:sendmessage"]
        and topic
        in listed(statement.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn"))
    )


def _denies_plain_http(policy: str | None) -> bool:
    return any(
        row["Effect"] == "Deny"
        and row.get("Principal") in ("*", {"AWS": "*"})
        and "false" in map(str.lower, _transport(row))
        for row in document(policy)
    )


def _transport(statement: dict[str, Any]) -> list[str]:
    found = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport", [])
    return [str(value) for value in listed(found)]


def _put_policy(deployment: Deployment, name: str) -> str:
    """The command that restores a queue's policy."""
    arn = deployment.queues[name]["QueueArn"]
    statements: list[dict[str, Any]] = [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": arn,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
    if name in FROM_TOPIC:
        statements.append(
            {
                "Sid": "Topic",
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": deployment.stack.topic}},
            }
        )
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    words = ("--queue-url", deployment.stack.id_of(name))
    attributes = ("--attributes", json.dumps({"Policy": policy}))
    return deployment.aws("sqs", "set-queue-attributes", *words, *attributes)


CHECKS = (
    Check(
        "queue-policies",
        "each queue's policy names that queue alone, and only the event topic may deliver",
        queue_policies,
    ),
    Check(
        "tls-only",
        "the queues and the event topic accept TLS only",
        tls_only,
        only_aws="the local stack speaks plain HTTP, so its policies are changed to accept it",
    ),
    Check(
        "event-subscription",
        "the event queue gets raw events and has a dead-letter queue",
        event_subscription,
    ),
    Check("dead-letter-queues", "each queue has its dead-letter queue", redrive_policies),
)
