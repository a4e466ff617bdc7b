"""The template holds nothing that only one partition of AWS knows (aws, aws-cn, aws-us-gov)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.template.deployed import Deployed, transformed

REGIONS = {"aws": "eu-west-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
# Principals that are written the same in every partition.
GLOBAL_PRINCIPALS = {
    "apigateway.amazonaws.com",
    "cloudwatch.amazonaws.com",
    "events.amazonaws.com",
    "lambda.amazonaws.com",
    "sns.amazonaws.com",
}
EVERYTHING = dict.fromkeys(("CreateKmsKey", "Tracing", "AccessLogs"), "on")


def texts(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [text for item in node.values() for text in texts(item)]
    if isinstance(node, list):
        return [text for item in node for text in texts(item)]
    return [node] if isinstance(node, str) else []


def stack(partition: str) -> Deployed:
    return Deployed("skycore", region=REGIONS[partition], partition=partition, **EVERYTHING)


@pytest.mark.parametrize("partition", REGIONS)
def test_no_arn_and_no_host_is_another_partitions(partition: str) -> None:
    deployed = stack(partition)
    values = [*map(deployed.properties, deployed.resources)]
    values += [deployed.output(name) for name in ("ApiUrl", "ApiInvokeArn", "OperatorPolicy")]
    for text in texts(values):
        assert set(re.findall(r"arn:(aws[a-z-]*):", text)) <= {partition}, text
        hosts = set(re.findall(r"[\w.-]+\.amazonaws\.com(?:\.cn)?", text)) - GLOBAL_PRINCIPALS
        if partition == "aws-cn":
            assert all(host.endswith(".cn") for host in hosts), hosts


@pytest.mark.parametrize("partition", REGIONS)
def test_log_groups_reach_the_key_by_the_principal_of_their_region(partition: str) -> None:
    deployed = stack(partition)
    rows = deployed.properties("DataKey")["KeyPolicy"]["Statement"]
    (principal,) = [row["Principal"] for row in rows if row["Sid"] == "LogGroups"]
    suffix = {"aws-cn": "amazonaws.com.cn"}.get(partition, "amazonaws.com")
    assert principal == {"Service": f"logs.{REGIONS[partition]}.{suffix}"}


def test_a_service_reaches_the_key_however_its_partition_writes_it() -> None:
    text = json.dumps(transformed()["Resources"])
    services = re.findall(r'"([a-z]+)\.\$\{AWS::Region\}\.([^"]*)"', text)
    assert {name for name, _ in services} == {"dynamodb", "logs", "secretsmanager", "sns", "sqs"}
    assert {end for name, end in services if name != "logs"} == {"*"}
