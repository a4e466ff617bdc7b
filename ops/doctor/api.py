"""Checks of the API: its stage, routes, gateway responses, web ACL and domain."""

from __future__ import annotations

import json
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any

from ops.doctor.check import Check, Finding
from ops.doctor.deployment import document, listed, template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.doctor.deployment import Deployment

OPEN_ROUTE = ("POST", "/postbacks/{item}")  # the only one without a signature: it has the token
PROBLEM = "application/problem+json"
MAX_ITEMS = 500  # of an API; the most that one call returns


def stage_settings(deployment: Deployment) -> Iterator[Finding]:
    """The stage has the template's rates and metrics, and logs no bodies or URLs."""
    actual = {_route(key): row for key, row in deployment.stage["methodSettings"].items()}
    for row in _api()["MethodSettings"]:
        route = _route(f"{row['ResourcePath']}/{row['HttpMethod']}")
        found = actual.get(route, {})
        for name, (key, path) in _METHOD_SETTINGS.items():
            wanted = row.get(name)
            if isinstance(wanted, dict):
                wanted = int(deployment.parameters[wanted["Ref"]])
            if wanted is not None and not _is_same(found.get(key), wanted):
                detail = f"{name} of {route} is {found.get(key)}, not {wanted}"
                resource, verb = row["ResourcePath"], row["HttpMethod"]
                yield Finding(detail, _patch(deployment, f"{resource}/{verb}/{path}", wanted))
    for route, row in actual.items():
        if row.get("dataTraceEnabled") or row.get("loggingLevel", "OFF") != "OFF":
            detail = f"the stage logs executions of {route}: the postback token gets into the log"
            off = [("/*/*/logging/loglevel", "OFF"), ("/*/*/logging/dataTrace", "false")]
            yield Finding(detail, " && ".join(_patch(deployment, *one) for one in off))
    if deployment.stage.get("tracingEnabled"):
        detail = "the stage is traced: a trace holds the URL, and with it the postback token"
        yield Finding(detail, _patch(deployment, "/tracingEnabled", "false"))
    access_log = deployment.stage.get("accessLogSettings", {}).get("format", "")
    if "$context.path" in access_log:
        detail = "the access log holds the path, and with it the postback token"
        wanted = _api()["AccessLogSetting"]["Fn::If"][1]["Format"]
        yield Finding(detail, _patch(deployment, "/accessLogSettings/format", wanted))


def routes(deployment: Deployment) -> Iterator[Finding]:
    """Every route needs a signature, except for the postback route."""
    pages = deployment.client("apigateway").get_paginator("get_resources")
    api = deployment.stack.id_of("Api")
    for page in pages.paginate(restApiId=api, embed=["methods"]):
        for resource in page["items"]:
            for verb, method in resource.get("resourceMethods", {}).items():
                if method.get("methodIntegration", {}).get("credentials"):
                    detail = f"{verb} {resource['path']} calls its function with credentials"
                    fix = (
                        f"restore InvokeRole: NONE of template.yaml, then {deployment.sam_deploy()}"
                    )
                    yield Finding(f"{detail}: callers need lambda:InvokeFunction", fix)
                expected = "NONE" if (verb, resource["path"]) == OPEN_ROUTE else "AWS_IAM"
                if (actual := method.get("authorizationType")) != expected:
                    words = ("--rest-api-id", api, "--resource-id", resource["id"])
                    patch = f"op=replace,path=/authorizationType,value={expected}"
                    fix = deployment.aws(
                        "apigateway", "update-method", *words, "--http-method", verb,
                        "--patch-operations", patch,
                    )  # fmt: skip
                    detail = f"authorization of {verb} {resource['path']} is {actual}"
                    yield Finding(f"{detail}, not {expected}", f"{fix}, then deploy the API")


def deployment_of_stage(deployment: Deployment) -> Iterator[Finding]:
    """The stage serves the newest deployment, so that a changed parameter has reached it."""
    api = deployment.stack.id_of("Api")
    pages = deployment.client("apigateway").get_paginator("get_deployments")
    found = [row for page in pages.paginate(restApiId=api) for row in page["items"]]
    newest = max(row["createdDate"] for row in found)
    if deployment.stage["deploymentId"] not in {
        row["id"] for row in found if row["createdDate"] == newest
    }:
        words = ("--rest-api-id", api, "--stage-name", "v1")
        fix = deployment.aws("apigateway", "create-deployment", *words)
        yield Finding("the stage serves an older deployment of the API than the newest", fix)


def resource_policy(deployment: Deployment) -> Iterator[Finding]:
    """The API's policy opens the postback route to the allowed addresses, and nothing else."""
    found = deployment.client("apigateway").get_rest_api(restApiId=deployment.stack.id_of("Api"))
    statements = document(_unescaped(found.get("policy", "")))
    fix = f"sam build && {deployment.sam_deploy()}"
    fix += "; if nothing changes, restore the API's policy from template.yaml"
    opened = [
        resource
        for row in statements
        if row["Effect"] == "Allow"
        for resource in listed(row["Resource"])
    ]
    if not opened:
        yield Finding("the API's policy allows no postbacks: each is answered 403", fix)
    for resource in opened:
        if not resource.endswith("/v1/POST/postbacks/*"):
            yield Finding(f"the API's policy opens {resource} to everyone", fix)
    cidrs = deployment.parameters.get("PostbackAllowedCidrs", "")
    allowed = {_network(part.strip()) for part in cidrs.split(",") if part.strip()}
    denied = {
        _network(address)
        for row in statements
        if row["Effect"] == "Deny"
        for address in listed(
            row.get("Condition", {}).get("NotIpAddress", {}).get("aws:SourceIp", [])
        )
    }
    if allowed != denied:
        detail = (
            f"PostbackAllowedCidrs is {cidrs or 'empty'}, but the API's policy has "
            f"{','.join(sorted(map(str, denied))) or 'no addresses'}"
        )
        yield Finding(detail, fix)


def gateway_responses(deployment: Deployment) -> Iterator[Finding]:
    """The gateway's own answers are problem details, with the template's headers."""
    client, api = deployment.client("apigateway"), deployment.stack.id_of("Api")
    actual = {
        row["responseType"]: row
        for row in client.get_gateway_responses(restApiId=api, limit=MAX_ITEMS)["items"]
    }
    for kind, expected in _api()["GatewayResponses"].items():
        templates = expected["ResponseTemplates"]
        found = actual.get(kind, {})
        status = str(expected.get("StatusCode", found.get("statusCode")))
        headers = {
            f"gatewayresponse.header.{name}": value
            for name, value in expected.get("ResponseParameters", {}).get("Headers", {}).items()
        }
        lost = headers.items() - (found.get("responseParameters") or {}).items()
        if (
            found.get("defaultResponse", True)
            or found.get("responseTemplates") != templates
            or str(found.get("statusCode")) != status
            or lost
        ):
            words: list[object] = ["--rest-api-id", api, "--response-type", kind]
            words += ["--response-templates", json.dumps(templates)]
            if "StatusCode" in expected:
                words += ["--status-code", expected["StatusCode"]]
            if headers:
                words += ["--response-parameters", json.dumps(headers)]
            put = deployment.aws("apigateway", "put-gateway-response", *words)
            deploy = deployment.aws(
                "apigateway", "create-deployment", "--rest-api-id", api, "--stage-name", "v1"
            )
            detail = f"gateway response {kind} is not the template's"
            yield Finding(f"{detail}: callers get other bodies or headers", f"{put} && {deploy}")


def web_acl(deployment: Deployment) -> Iterator[Finding]:
    """The web ACL of the parameters protects the stage, and records no path with the token."""
    expected = deployment.parameters.get("WebAclArn", "")
    actual = deployment.stage.get("webAclArn", "")
    if expected and actual != expected:
        stage = f"/restapis/{deployment.stack.id_of('Api')}/stages/v1"
        partition, region = deployment.stack.topic.split(":")[1], deployment.stack.region
        arn = f"arn:{partition}:apigateway:{region}::{stage}"
        words = ("--web-acl-arn", expected, "--resource-arn", arn)
        fix = deployment.aws("wafv2", "associate-web-acl", *words)
        yield Finding(f"the stage's web ACL is {actual or 'none'}, not {expected}", fix)
    if deployment.parameters.get("PostbackRateLimit", "0") != "0" and not actual:
        detail = "the stage has no web ACL, although PostbackRateLimit is set"
        again = deployment.sam_deploy(PostbackRateLimit=0), deployment.sam_deploy()
        yield Finding(detail, f"{again[0]}, then with the old value: {again[1]}")
    if actual:
        yield from _recorded_paths(deployment, actual)


def _recorded_paths(deployment: Deployment, acl: str) -> Iterator[Finding]:
    """Find where a web ACL keeps the path of requests, which holds the postback token."""
    waf = deployment.client("wafv2")
    name, id_ = acl.split("/")[-2:]
    found = waf.get_web_acl(Name=name, Scope="REGIONAL", Id=id_)["WebACL"]
    # WAF samples for the default action, and for each rule.
    sampling = [
        row["Name"]
        for row in (found, *found.get("Rules", ()))
        if row["VisibilityConfig"]["SampledRequestsEnabled"]
    ]
    if sampling:
        detail = f"web ACL {name} samples requests ({', '.join(sampling)}): they show the token"
        fix = f"turn sampled requests off for the web ACL {name} and all of its rules"
        yield Finding(detail, fix)
    try:
        logging = waf.get_logging_configuration(ResourceArn=acl)["LoggingConfiguration"]
    except waf.exceptions.WAFNonexistentItemException:  # it has no logs
        return
    if not any("UriPath" in field for field in logging.get("RedactedFields", ())):
        detail = f"the logs of web ACL {name} hold the path, and with it the postback token"
        yield Finding(detail, "redact the URI path in the web ACL's logging configuration")


def domain(deployment: Deployment) -> Iterator[Finding]:
    """The custom domain takes TLS 1.2 and is the only way in if the parameters say so."""
    client, api = deployment.client("apigateway"), deployment.stack.id_of("Api")
    if name := deployment.parameters.get("DomainName", ""):
        found = client.get_domain_name(domainName=name)
        if (status := found.get("domainNameStatus")) != "AVAILABLE":
            detail = f"the domain {name} is {status}: {found.get('domainNameStatusMessage', '')}"
            yield Finding(detail.rstrip(": "), "check the certificate of CertificateArn")
        if (policy := found.get("securityPolicy")) == "TLS_1_0":
            patch = "op=replace,path=/securityPolicy,value=TLS_1_2"
            words = ("--domain-name", name, "--patch-operations", patch)
            fix = deployment.aws("apigateway", "update-domain-name", *words)
            yield Finding(f"the domain {name} takes {policy}", fix)
    closed = deployment.parameters.get("DisableDefaultEndpoint", "off") == "on"
    if client.get_rest_api(restApiId=api).get("disableExecuteApiEndpoint", False) != closed:
        value = str(closed).lower()
        patch = f"op=replace,path=/disableExecuteApiEndpoint,value={value}"
        words = ("--rest-api-id", api, "--patch-operations", patch)
        fix = deployment.aws("apigateway", "update-rest-api", *words)
        now, wanted = ("open", "on") if closed else ("closed", "off")
        detail = f"the default endpoint is {now}, but DisableDefaultEndpoint is {wanted}"
        yield Finding(detail, fix)


_METHOD_SETTINGS = {  # in the template, of the stage, in the path of a patch
    "ThrottlingRateLimit": ("throttlingRateLimit", "throttling/rateLimit"),
    "ThrottlingBurstLimit": ("throttlingBurstLimit", "throttling/burstLimit"),
    "MetricsEnabled": ("metricsEnabled", "metrics/enabled"),
}


def _api() -> dict[str, Any]:
    properties: dict[str, Any] = template()["Resources"]["Api"]["Properties"]
    return properties


def _unescaped(policy: str) -> str:
    """A policy's text: API Gateway returns it as the inside of a JSON string."""
    return str(json.loads(f'"{policy}"')) if policy.startswith('{\\"') else policy


def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text, strict=False)


def _route(key: str) -> str:
    """A method setting's key, with its slashes or without, as `VERB path`."""
    path, _, verb = key.rpartition("/")
    return f"{verb} {path.replace('~1', '/').strip('/')}"


def _is_same(found: object, wanted: object) -> bool:
    """Compare a setting with the template's: AWS returns 1000 as 1000.0, the emulator as text."""
    return str(found).removesuffix(".0") == str(wanted)


def _patch(deployment: Deployment, path: str, value: object) -> str:
    operation = json.dumps([{"op": "replace", "path": path, "value": str(value)}])
    words = ("--rest-api-id", deployment.stack.id_of("Api"), "--stage-name", "v1")
    return deployment.aws("apigateway", "update-stage", *words, "--patch-operations", operation)


CHECKS = (
    Check(
        "stage", "the stage has the template's rates and metrics, and logs no token", stage_settings
    ),
    Check("deployment", "the stage serves the newest deployment of the API", deployment_of_stage),
    Check("routes", "every route but the postback route needs a signature", routes),
    Check("resource-policy", "the API's policy opens the postback route only", resource_policy),
    Check("gateway-responses", "the gateway's own answers are problem details", gateway_responses),
    Check("web-acl", "a chosen web ACL protects the API and records no token", web_acl),
    Check("domain", "the domain and the default endpoint are as the parameters say", domain),
)
