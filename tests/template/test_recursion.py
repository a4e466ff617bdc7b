"""Lambda stops a function that sends to the queue that starts it, after 16 rounds.

"Use Lambda recursive loop detection to prevent infinite loops", AWS Lambda Developer Guide. The
emulator does not do that, so only this test and AWS itself show it.
"""

from __future__ import annotations

from tests.template.deployed import Deployed
from tests.template.test_policies import listed

# Each function that may send to a queue that starts it: RecursiveLoop, and why.
LOOPS = {
    "DispatchFunction": ("Allow", "a message that waits goes back; expires_at or 14 days end it"),
    "StoreFunction": ("Allow", "bodies that a batch has no time for go back, behind smaller ones"),
    "FetchFunction": ("Allow", "a file that failed is tried again by a new job"),
    "PublishFunction": (None, "it sends there only from the stream, so there are two rounds"),
}


def loops(stack: Deployed) -> set[str]:
    """Return the functions whose role may send to a queue that starts them."""
    found = set()
    for name in stack.of_type("AWS::Lambda::EventSourceMapping"):
        source = stack.properties(name)
        function = stack.resources[name]["Properties"]["FunctionName"]["Ref"]
        role = stack.resources[function]["Properties"]["Role"]["Fn::GetAtt"][0]
        for policy in stack.properties(role)["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                sends = {"sqs:SendMessage", "sqs:*", "*"} & set(listed(statement["Action"]))
                reached = {source["EventSourceArn"], "*"} & set(listed(statement["Resource"]))
                if sends and reached and statement["Effect"] == "Allow":
                    found.add(function)
    return found


def test_a_function_that_feeds_itself_is_known() -> None:
    assert loops(Deployed("skycore", CreateKmsKey="on")) == set(LOOPS)


def test_lambda_stops_a_loop_only_where_it_is_a_fault() -> None:
    stack = Deployed("skycore")
    allowed = {
        name: stack.properties(name).get("RecursiveLoop")
        for name in stack.of_type("AWS::Lambda::Function")
    }
    chosen = {name: choice for name, (choice, _) in LOOPS.items()}
    assert allowed == {name: chosen.get(name) for name in allowed}
