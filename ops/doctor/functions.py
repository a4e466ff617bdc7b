"""Checks of the functions: their state, settings, recursion setting and logs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ops.doctor.check import Check, Finding
from ops.doctor.deployment import template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.doctor.deployment import Deployment

# The functions that send to the queue that triggers them, and end by their own rules.
MAY_LOOP = {"DispatchFunction", "FetchFunction", "StoreFunction"}


def state(deployment: Deployment) -> Iterator[Finding]:
    """Each function is active, and its last update succeeded."""
    deploy = f"sam build && {deployment.sam_deploy()}"
    for name, found in deployment.functions.items():
        if found.get("LastUpdateStatus", "Successful") == "Failed":
            why = found.get("LastUpdateStatusReason", "no reason given")
            yield Finding(f"the last update of {name} failed: {why}", deploy)
        match found.get("State", "Active"):
            case "Active" | "Pending":
                pass
            case "Inactive":
                detail = (
                    f"{name} is inactive: its next call fails while Lambda restores its network"
                )
                yield Finding(detail, "call it once, and again after a minute", warning=True)
            case other:
                why = found.get("StateReason", "no reason given")
                yield Finding(f"{name} is {other}: {why}", deploy)


def settings(deployment: Deployment) -> Iterator[Finding]:
    """Environment variables name this stack's resources and hold its parameters."""
    everywhere = template()["Globals"]["Function"]["Environment"]["Variables"]
    deploy = f"sam build && {deployment.sam_deploy()}"
    for name, found in deployment.functions.items():
        resource = template()["Resources"].get(name, {})
        own = resource.get("Properties", {}).get("Environment", {}).get("Variables", {})
        actual = found.get("Environment", {}).get("Variables", {})
        for variable, node in {**everywhere, **own}.items():
            expected = _resolve(deployment, node)
            if variable not in actual:
                yield Finding(f"{name} has no variable {variable}", deploy)
            elif expected is not None and not _same(actual[variable], expected):
                detail = f"{variable} of {name} is not {expected}, but {actual[variable]}"
                variables = {"Variables": {**actual, variable: expected}}
                words = ("--function-name", found["FunctionName"], "--environment")
                command = deployment.aws(
                    "lambda", "update-function-configuration", *words, json.dumps(variables)
                )
                yield Finding(detail, command)


def recursion(deployment: Deployment) -> Iterator[Finding]:
    """Lambda lets dispatch, fetch and store requeue messages, and would stop any other loop."""
    client = deployment.client("lambda")
    for name, found in deployment.functions.items():
        function = found["FunctionName"]
        expected = "Allow" if name in MAY_LOOP else "Terminate"
        actual = client.get_function_recursion_config(FunctionName=function)["RecursiveLoop"]
        if actual == expected:
            continue
        why = (
            "Lambda stops messages after 16 requeues, and they are dead-lettered"
            if name in MAY_LOOP
            else "Lambda would not stop a loop"
        )
        words = ("--function-name", function, "--recursive-loop", expected)
        fix = deployment.aws("lambda", "put-function-recursion-config", *words)
        yield Finding(f"the recursion setting of {name} is {actual}: {why}", fix)


def log_format(deployment: Deployment) -> Iterator[Finding]:
    """Functions log JSON at the levels of LogLevel, each into its own group."""
    debug = deployment.parameters.get("LogLevel") == "DEBUG"
    levels = {
        key: value["Fn::If"][1 if debug else 2] if isinstance(value, dict) else value
        for key, value in template()["Globals"]["Function"]["LoggingConfig"].items()
    }
    groups = deployment.ids("AWS::Logs::LogGroup")
    for name, found in deployment.functions.items():
        own = {"LogGroup": groups.get(name.removesuffix("Function") + "Logs", "")}
        expected = {**levels, **own}
        actual = found.get("LoggingConfig", {})
        if wrong := [key for key, value in expected.items() if actual.get(key) != value]:
            wrong_keys = ", ".join(
                f"{key} is {actual.get(key)}, not {expected[key]}" for key in wrong
            )
            pairs = ",".join(f"{key}={value}" for key, value in expected.items())
            words = ("--function-name", found["FunctionName"], "--logging-config", pairs)
            fix = deployment.aws("lambda", "update-function-configuration", *words)
            yield Finding(f"{name}: {wrong_keys}; metrics or alarms may miss its lines", fix)


def log_groups(deployment: Deployment) -> Iterator[Finding]:
    """Each log group exists and keeps its lines for LogRetentionDays."""
    expected = int(deployment.parameters["LogRetentionDays"])
    client, names = deployment.client("logs"), deployment.ids("AWS::Logs::LogGroup").values()
    found: dict[str, dict[str, Any]] = {
        group["logGroupName"]: group
        for name in names
        for group in client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    }
    for name in names:
        if name not in found:
            fix = deployment.aws("logs", "create-log-group", "--log-group-name", name)
            yield Finding(f"log group {name} is missing: its function logs nothing", fix)
        elif (days := found[name].get("retentionInDays")) != expected:
            words = ("--log-group-name", name, "--retention-in-days", expected)
            fix = deployment.aws("logs", "put-retention-policy", *words)
            yield Finding(f"log group {name} keeps lines for {days or 'ever'}, not {expected}", fix)


def _resolve(deployment: Deployment, node: Any) -> str | None:
    """The value of a template's expression; None for what is not a plain reference."""
    if not isinstance(node, dict):
        return str(node)
    match node:
        case {"Ref": "AWS::StackName"}:
            return deployment.name
        case {"Ref": str(name)} if name in deployment.parameters:
            return str(deployment.parameters[name])
        case {"Ref": str(name)} | {"Fn::GetAtt": str(name)}:
            logical_id, _, attribute = name.partition(".")
            found = deployment.stack.resources.get(logical_id)
            return found[1] if found and attribute in {"", "Id"} else None
        case {"Fn::Join": [",", {"Ref": str(name)}]}:
            return ",".join(map(str.strip, deployment.parameters.get(name, "").split(",")))
        case _:
            return None


def _same(actual: str, expected: str) -> bool:
    """Whether a variable holds a value; a secret's may be its ARN, which contains the id."""
    return actual == expected or (actual.startswith("arn:") and f":{expected}-" in actual)


CHECKS = (
    Check("functions", "each function is active and its last update succeeded", state),
    Check(
        "function-settings", "each function uses this stack's resources and parameters", settings
    ),
    Check(
        "recursion",
        "Lambda lets dispatch requeue waiting messages, and stops any other loop",
        recursion,
        only_aws="the emulator ignores RecursiveLoop and does not stop loops through SQS",
    ),
    Check("log-format", "functions log JSON at the chosen levels", log_format),
    Check(
        "log-groups", "each log group exists and has the retention of LogRetentionDays", log_groups
    ),
)
