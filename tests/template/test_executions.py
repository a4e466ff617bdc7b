"""How many executions each function may have at once, and what that leaves to the others.

The table of docs/limits.md#concurrency is computed here, from the template and samconfig.toml.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from tests.template.conftest import ROOT, Template
from tests.template.deployed import Deployed
from tests.template.parameters import refusals

CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
PROFILES = {"defaults": "default", "prod": "prod", "small": "small"}
QUOTAS = {"default": 1_000, "dev": 1_000, "prod": 1_000, "small": 10}
UNRESERVED = 100  # executions that AWS lets no account reserve ("Lambda quotas")
LEAST = 2  # the least MaximumConcurrency that AWS takes
MOST_SHARDS = 4  # of the stream of a new on-demand table, which has up to four partitions


def chosen(profile: str) -> dict[str, str]:
    pairs = CONFIG[profile]["deploy"]["parameters"].get("parameter_overrides", [])
    return dict(pair.split("=", 1) for pair in pairs)


def executions(stack: Deployed, shards: int = 1) -> dict[str, tuple[str, int] | None]:
    """Return what bounds each function, and the executions; None for one that callers bound."""
    found: dict[str, tuple[str, int] | None] = {}
    for function in stack.of_type("AWS::Lambda::Function"):
        reserved = stack.properties(function).get("ReservedConcurrentExecutions")
        sources = [
            stack.properties(name)
            for name in stack.of_type("AWS::Lambda::EventSourceMapping")
            if stack.resources[name]["Properties"]["FunctionName"]["Ref"] == function
        ]
        most = sum(_of(source, shards) for source in sources)
        if reserved is not None:
            found[function] = ("reserved", int(reserved))
        elif sources:
            found[function] = ("event sources", most)
        elif function == "SweepFunction":
            found[function] = ("schedule", 1)  # it ends before the next minute
        else:
            found[function] = None
    return found


def _of(source: dict[str, Any], shards: int = 1) -> int:
    if source.get("Enabled", True) is False:
        return 0
    if "StartingPosition" in source:  # a stream
        return shards * int(source.get("ParallelizationFactor", 1))
    return int(source["ScalingConfig"]["MaximumConcurrency"])


def total(profile: str, shards: int = 1) -> int:
    bounded = executions(Deployed("skycore", **chosen(profile)), shards).values()
    return sum(row[1] for row in bounded if row)


@pytest.mark.parametrize("profile", sorted(CONFIG.keys() - {"version"}))
def test_a_profile_has_parameters_that_cloudformation_takes(
    template: Template, profile: Any
) -> None:
    assert refusals(template.body, chosen(profile)) == []


def test_every_queue_that_starts_a_function_has_a_most() -> None:
    stack = Deployed("skycore")
    for name in stack.of_type("AWS::Lambda::EventSourceMapping"):
        if ":sqs:" in stack.properties(name)["EventSourceArn"]:
            assert _of(stack.properties(name)) >= LEAST, name


@pytest.mark.parametrize("profile", QUOTAS)
def test_a_backlog_leaves_executions_for_postbacks_and_callers(profile: str) -> None:
    shards = 1 if QUOTAS[profile] == 10 else MOST_SHARDS
    assert total(profile, shards) <= QUOTAS[profile] - LEAST


def test_who_deploys_into_a_quota_of_ten_reads_that_it_is_too_small() -> None:
    """With four shards a backlog takes more than all of it, and ack may get none."""
    one, four = total("small"), total("small", MOST_SHARDS)
    assert one < QUOTAS["small"] < four
    page = (ROOT / "docs" / "limits.md").read_text()
    assert "A quota of 10 cannot guarantee `ack` an execution" in page
    comment = (ROOT / "samconfig.toml").read_text().split("\n[small.global.parameters]")[0]
    comment = " ".join(comment.rsplit("\n\n", 1)[1].replace("\n#", "").split())
    assert (
        f"That is {one} if the table's stream has one shard, but {four} if it has four" in comment
    )


@pytest.mark.parametrize("profile", QUOTAS)
def test_a_profile_reserves_only_what_its_account_can_spare(profile: str) -> None:
    bounded = executions(Deployed("skycore", **chosen(profile)))
    reserved = sum(row[1] for row in bounded.values() if row and row[0] == "reserved")
    assert reserved <= max(0, QUOTAS[profile] - UNRESERVED)
    assert (reserved > 0) is (profile == "prod")


def test_production_reserves_for_the_function_that_calls_skycore_and_for_the_one_it_calls() -> None:
    bounded = executions(Deployed("skycore", **chosen("prod")))
    assert {name for name, row in bounded.items() if row and row[0] == "reserved"} == {
        "SendFunction",
        "AckFunction",
    }


def test_the_page_adds_up_what_each_profile_takes() -> None:
    page = (ROOT / "docs" / "limits.md").read_text().split("\n### Concurrency\n", 1)[1]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \| .+ \|$", page, re.MULTILINE)[1:]
    stacks = {name: Deployed("skycore", **chosen(key)) for name, key in PROFILES.items()}
    found = {row[0].strip("`*"): [cell.strip("*") for cell in row[1:]] for row in rows}
    functions = [name.removesuffix("Function") for name in executions(stacks["prod"])]
    assert set(found) == {name.lower() for name in functions} | {
        "sum",
        "sum with four shards",
        "quota",
    }
    for name in functions:
        bounded = [executions(stack)[f"{name}Function"] for stack in stacks.values()]
        assert found[name.lower()] == [str(row[1]) if row else "any" for row in bounded]
    assert found["sum"] == [str(total(key)) for key in PROFILES.values()]
    most = [str(total(key, MOST_SHARDS)) for key in PROFILES.values()]
    assert found["sum with four shards"] == most
    assert found["quota"] == [f"{QUOTAS[key]:,}" for key in PROFILES.values()]


def test_the_file_says_that_the_command_line_replaces_it() -> None:
    text = (ROOT / "samconfig.toml").read_text()
    assert "--parameter-overrides on the command line replaces parameter_overrides" in text
