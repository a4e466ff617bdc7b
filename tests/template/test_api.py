"""Routes, who may call them, and what the gateway itself answers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.template.conftest import Template
from tests.template.deployed import Deployed, transformed

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTES = {
    ("post", "/messages"): "SendFunction",
    ("post", "/messages/batch"): "EnqueueFunction",
    ("get", "/messages/{message_id}"): "MessagesFunction",
    ("get", "/messages"): "MessagesFunction",
    ("delete", "/messages/{message_id}"): "MessagesFunction",
    ("post", "/actions/{action}"): "SendFunction",
    ("get", "/postbacks/unparsed"): "MessagesFunction",
    ("get", "/postbacks/{item}"): "MessagesFunction",
    ("post", "/postbacks/{item}"): "AckFunction",
}


def events(template: Template) -> Iterator[Any]:
    for name, function in template.functions.items():
        for event in function.get("Events", {}).values():
            if event["Type"] == "Api":
                yield name, event["Properties"]


def test_every_route_of_the_contract_has_its_function(template: Template) -> None:
    found = {(event["Method"], event["Path"]): name for name, event in events(template)}
    assert found == ROUTES


@pytest.mark.parametrize("off", [True, False])
def test_the_default_endpoint_is_shut_only_on_request(off: bool) -> None:
    chosen = {
        "DisableDefaultEndpoint": "on",
        "DomainName": "sms.example.com",
        "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/1",
    }
    stack = Deployed("skycore", **(chosen if off else {}))
    (server,) = stack.properties("Api")["Body"]["servers"]
    configured = server["x-amazon-apigateway-endpoint-configuration"]
    assert configured["disableExecuteApiEndpoint"] is off
    assert ("ApiDomainMapping" in stack.resources) is off


def test_one_place_in_a_path_has_one_variable(template: Template) -> None:
    # API Gateway refuses /postbacks/{token} beside /postbacks/{event_id}.
    variables: dict[str, set[str]] = {}
    for _, event in events(template):
        parts = event["Path"].split("/")
        for depth, part in enumerate(parts):
            if part.startswith("{"):
                variables.setdefault("/".join(parts[:depth]), set()).add(part)
    assert all(len(names) == 1 for names in variables.values()), variables


def test_only_the_postback_route_is_open(template: Template) -> None:
    api = template.resources["Api"]["Properties"]
    assert api["Auth"]["DefaultAuthorizer"] == "AWS_IAM"
    open_routes = [
        (event["Method"], event["Path"]) for _, event in events(template) if event.get("Auth")
    ]
    assert open_routes == [("post", "/postbacks/{item}")]


def test_callers_need_invoke_on_the_api_and_nothing_else(template: Template) -> None:
    assert template.resources["Api"]["Properties"]["Auth"]["InvokeRole"] == "NONE"


def test_method_settings_escape_the_inner_slashes(template: Template) -> None:
    # CloudFormation takes /~1postbacks~1{item}; a raw inner slash fails the whole stack.
    for row in template.resources["Api"]["Properties"]["MethodSettings"]:
        path = row["ResourcePath"]
        assert path == "/*" or "/" not in path[1:], path


def test_changed_parameters_reach_the_stage(template: Template) -> None:
    assert template.resources["Api"]["Properties"]["AlwaysDeploy"] is True


def test_every_byte_of_a_body_survives(template: Template) -> None:
    assert template.resources["Api"]["Properties"]["BinaryMediaTypes"] == ["*~1*"]


def test_the_resource_policy_concerns_postbacks_alone(template: Template) -> None:
    policy = template.resources["Api"]["Properties"]["Auth"]["ResourcePolicy"]
    assert set(policy) == {"CustomStatements"}
    allow, conditional = policy["CustomStatements"]
    deny = conditional["Fn::If"][1]
    assert conditional["Fn::If"][0] == "HasPostbackCidrs"
    for statement, effect in ((allow, "Allow"), (deny, "Deny")):
        assert statement["Effect"] == effect
        assert statement["Resource"] == "execute-api:/v1/POST/postbacks/*"
    assert deny["Condition"] == {"NotIpAddress": {"aws:SourceIp": {"Ref": "PostbackAllowedCidrs"}}}


# What a line of the access log may hold. The path of a postback holds the token.
LOGGED = {
    *("requestId", "httpMethod", "resourcePath", "status", "responseLatency"),
    *("identity.userArn", "identity.sourceIp"),  # who called, and from where
}


def test_no_access_log_holds_the_path_with_the_token(template: Template) -> None:
    api = template.resources["Api"]["Properties"]
    condition, setting, _ = api["AccessLogSetting"]["Fn::If"]
    assert condition == "WithAccessLogs"
    json.loads(setting["Format"])
    assert set(re.findall(r"\$context\.([\w.]+)", setting["Format"])) == LOGGED
    assert "$stageVariables" not in setting["Format"]
    assert template.body["Parameters"]["AccessLogs"]["Default"] == "off"


def test_no_trace_and_no_execution_log_holds_it(template: Template) -> None:
    api = template.resources["Api"]["Properties"]
    assert "TracingEnabled" not in api
    assert "CanarySetting" not in api
    for row in [*api["MethodSettings"], template.body["Globals"].get("Api", {})]:
        assert not set(row) & {"LoggingLevel", "DataTraceEnabled", "TracingEnabled"}, row


THROTTLED = {
    ("*", "/*"): "every route",
    ("POST", "/~1postbacks~1{item}"): "open to anyone who knows a token, or guesses",
    ("POST", "/~1messages~1batch"): "up to a thousand messages in one call",
}


def method_settings(stack: Any) -> Any:
    (stage,) = stack.of_type("AWS::ApiGateway::Stage")
    return stack.properties(stage)["MethodSettings"]


def test_every_route_has_a_rate_and_those_that_matter_their_own(template: Template) -> None:
    rows = template.resources["Api"]["Properties"]["MethodSettings"]
    assert {(row["HttpMethod"], row["ResourcePath"]) for row in rows} == set(THROTTLED)
    for row in method_settings(Deployed("skycore")):
        assert 0 < int(row["ThrottlingBurstLimit"]) <= 5_000, row  # of an account, at first
        assert 0 < int(row["ThrottlingRateLimit"]) <= 10_000, row


def test_the_rate_of_the_postback_route_is_chosen_by_parameters() -> None:
    stack = Deployed("skycore", PostbackRequestsPerSecond="70", PostbackBurst="40")
    (row,) = [
        row for row in method_settings(stack) if row["ResourcePath"] == "/~1postbacks~1{item}"
    ]
    assert (row["ThrottlingRateLimit"], row["ThrottlingBurstLimit"]) == ("70", "40")


def test_a_route_with_its_own_rate_exists(template: Template) -> None:
    routes = {(method.upper(), path) for method, path in ROUTES}
    for method, place in set(THROTTLED) - {("*", "/*")}:
        assert (method, "/" + place.removeprefix("/~1").replace("~1", "/")) in routes


def gateway_responses(template: Template) -> Any:
    return template.resources["Api"]["Properties"]["GatewayResponses"]


@pytest.mark.parametrize("kind", ["DEFAULT_5XX", "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT"])
def test_a_failed_function_claims_nothing_about_the_send(template: Template, kind: str) -> None:
    response = gateway_responses(template)[kind]
    body = json.loads(response["ResponseTemplates"]["application/problem+json"])
    assert body["code"] == "gateway_failure"
    assert body["retryable"] is False
    assert body["detail"] == "outcome unknown; repeat only with the same Idempotency-Key"


@pytest.mark.parametrize("kind", Template().resources["Api"]["Properties"]["GatewayResponses"])
def test_a_gateway_answer_says_when_to_retry_exactly_if_it_is_retryable(
    template: Template, kind: Any
) -> None:
    response = gateway_responses(template)[kind]
    headers = response.get("ResponseParameters", {}).get("Headers", {})
    text = response["ResponseTemplates"]["application/problem+json"]
    body = json.loads(text.replace("$context.error.messageString", '"why"'))
    assert ("Retry-After" in headers) is body["retryable"]
    assert body["retryable"] is (kind == "THROTTLED")  # nothing was sent, and it fits soon


def test_a_gateway_answer_states_no_status_but_its_own() -> None:
    body = transformed()["Resources"]["Api"]["Properties"]["Body"]
    answers = body["x-amazon-apigateway-gateway-responses"]
    for kind, answer in answers.items():
        text = answer["responseTemplates"]["application/problem+json"]
        found = re.search(r'"status":(\d+)', text)
        # DEFAULT_4XX answers for several statuses, so it states none.
        assert (found is None) is (kind == "DEFAULT_4XX"), kind
        if found:
            assert answer["statusCode"] == found[1], kind


def test_every_gateway_answer_is_problem_details(template: Template) -> None:
    for kind, response in gateway_responses(template).items():
        text = response["ResponseTemplates"]["application/problem+json"]
        # The gateway puts a quoted string in the place of messageString.
        body = json.loads(text.replace("$context.error.messageString", '"why"'))
        assert {"type", "title", "detail", "code", "retryable"} <= set(body), kind
        if "StatusCode" in response:
            assert body["status"] == response["StatusCode"]
