"""Parameters that AWS would refuse in the middle of a deployment are refused before it begins."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from tests.template.conftest import ROOT, Template
from tests.template.parameters import cut_by_sam, refusals

BODY = Template().body
LISTS = {
    "AllowedCountryCodes": "1,44",
    "AllowedCountries": "US,GB",
    "StopWords": "BAJA,SALIR",
    "MediaHosts": ".skycore.com,cdn.example.com",
    "PostbackAllowedCidrs": "203.0.113.0/24,198.51.100.0/24",
    "SubscriberAccountIds": "111111111111,222222222222",
    "VpcSubnetIds": "subnet-0123456789abcdef0,subnet-0123abcd",
    "VpcSecurityGroupIds": "sg-0123456789abcdef0,sg-0123abcd",
}
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d-0000-4000-8000-0123456789ab"
DOMAIN = {"DomainName": "sms.example.com", "CertificateArn": CERTIFICATE}
VPC = {name: LISTS[name] for name in ("VpcSubnetIds", "VpcSecurityGroupIds")}
# Parameters that must be whole numbers: the functions read them by int(), or AWS takes no fraction.
WHOLE = {
    "MaxCallsPerSecond": (0, 999_999_999),
    "MaxCallsPerMinute": (0, 999_999_999),
    "MaxCallsPerDay": (0, 999_999_999),
    "PriorityShare": (0, 90),
    "EventRetentionDays": (2, 3650),
    "SendReservedConcurrency": (0, 99_999),
    "AckReservedConcurrency": (0, 99_999),
    "PostbackRequestsPerSecond": (1, 99_999),
    "PostbackBurst": (1, 9_999),
    "StoreMaximumConcurrency": (2, 1000),
    "PublishParallelization": (1, 10),
    "SilenceHours": (0, 168),  # CloudWatch evaluates seven days at most
}
GOOD = {
    "defaults": {},
    "every list": LISTS,
    "a domain": DOMAIN,
    "a domain alone": {**DOMAIN, "DisableDefaultEndpoint": "on"},
    "a domain of one letter": {**DOMAIN, "DomainName": "a.b.example"},
    "a VPC": VPC,
    "one subnet and one group": {
        "VpcSubnetIds": "subnet-0123abcd",
        "VpcSecurityGroupIds": "sg-0123abcd",
    },
    "one calling code": {"AllowedCountryCodes": "1"},
    "one country": {"AllowedCountries": "US"},
    "both": {"AllowedCountries": "US,CA", "AllowedCountryCodes": "1"},
    "words of any script": {"StopWords": "TD,Désabonner,退订"},
    "no campaigns": {"AllowCampaignSends": "off"},
    "a list with spaces, as CloudFormation trims it": {"AllowedCountryCodes": "1, 44"},
    "an address": {"PostbackAllowedCidrs": "203.0.113.7/32"},
    "every address": {"PostbackAllowedCidrs": "0.0.0.0/0"},
    "IPv6": {
        "PostbackAllowedCidrs": "2001:db8::/32,::/0,2001:db8:0:0:0:0:0:1/128,::1/128,fe80::1:2/64"
    },
    "an alarm topic": {"AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms"},
    "a topic in China": {"AlarmTopicArn": "arn:aws-cn:sns:cn-north-1:123456789012:alarms"},
    "a web ACL": {
        "WebAclArn": "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/acl/0a1b2c3d-0000"
    },
    "a rate of postbacks by address": {"PostbackRateLimit": "10"},
    "the highest such rate": {"PostbackRateLimit": "999999999"},
    "reserved": {"SendReservedConcurrency": "30", "AckReservedConcurrency": "50"},
    "the oldest that a queue keeps": {"SendQueueAgeSeconds": "1209600"},
    "no silence alarm": {"SilenceHours": "0"},
}
# Parameters, and what refuses them.
BAD = {
    "a domain without a certificate": (
        {"DomainName": "sms.example.com"},
        "DomainNeedsCertificate",
    ),
    "a certificate without a domain": ({"CertificateArn": CERTIFICATE}, "CertificateNeedsDomain"),
    "two web ACLs": (
        {
            "PostbackRateLimit": "2000",
            "WebAclArn": "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/acl/0a1b2c3d-0000",
        },
        "OneWebAcl",
    ),
    "a rate below WAF's least": ({"PostbackRateLimit": "9"}, "PostbackRateLimit"),
    "no endpoint at all": ({"DisableDefaultEndpoint": "on"}, "DisabledEndpointNeedsDomain"),
    "subnets without groups": (
        {"VpcSubnetIds": LISTS["VpcSubnetIds"]},
        "SubnetsNeedSecurityGroups",
    ),
    "groups without subnets": (
        {"VpcSecurityGroupIds": LISTS["VpcSecurityGroupIds"]},
        "SecurityGroupsNeedSubnets",
    ),
    "a subnet that is none": ({**VPC, "VpcSubnetIds": "subnet-xyz"}, "VpcSubnetIds"),
    "a subnet with half an id": ({**VPC, "VpcSubnetIds": "subnet-0123"}, "VpcSubnetIds"),
    "a group that is none": ({**VPC, "VpcSecurityGroupIds": "default"}, "VpcSecurityGroupIds"),
    **{
        f"the domain {name[:30]!r}": ({**DOMAIN, "DomainName": name}, "DomainName")
        for name in (
            "-sms.example.com",
            "sms-.example.com",
            "sms..example.com",
            "sms.example.com.",
            "SMS.example.com",
            "sms_1.example.com",
            "*.example.com",
            "localhost",
            "192.0.2.1",
            "https://sms.example.com",
            f"{'a' * 64}.example.com",
            f"{'a' * 60}.{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 20}.com",
        )
    },
    **{
        f"the certificate {arn}": ({**DOMAIN, "CertificateArn": arn}, "CertificateArn")
        for arn in (
            "arn:aws:acm:eu-west-1:123456789012:certificate/",
            "arn:aws:acm:eu-west-1:12345:certificate/1",
            "arn:aws:iam::123456789012:server-certificate/name",
        )
    },
    **{
        f"the address {cidr}": ({"PostbackAllowedCidrs": cidr}, "PostbackAllowedCidrs")
        for cidr in (
            "999.1.1.1/24",
            "256.0.0.0/8",
            "10.0.0.0/33",
            "10.0.0.0/033",
            "10.0.0.01/32",
            "10.0.0.0",
            "10.0.0/24",
            "10.0.0.0.0/24",
            "2001:db8::/129",
            "2001:db8::1::/64",
            "2001:db8/32",
            "1:2:3:4:5:6:7/64",
            "1:2:3:4:5:6:7:8:9/64",
            "1:2:3:4:5:6:7::8:9/64",
            "12345::/16",
            "::::/64",
            ":/64",
            "2001:db8:::/32",
            "g::/16",
            "2001:db8::",
            "203.0.113.0/24,999.1.1.1/24",
        )
    },
    **{
        f"the alarm topic {arn}": ({"AlarmTopicArn": arn}, "AlarmTopicArn")
        for arn in (
            "arn:aws:sns:eu-west-1:123456789012:alarms.fifo",
            "arn:aws:sns:eu-west-1:123456789012:",
            "arn:aws:sns:eu-west-1:123:alarms",
            "arn:aws:sns:eu-west-1:123456789012:alarms:0a1b2c3d-0000",
            "arn:aws:sqs:eu-west-1:123456789012:alarms",
            "alarms",
        )
    },
    **{
        f"the web ACL {arn}": ({"WebAclArn": arn}, "WebAclArn")
        for arn in (
            "arn:aws:wafv2:us-east-1:123456789012:global/webacl/name/1",
            "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/name",
            "arn:aws:wafv2:eu-west-1:123456789012:regional/rulegroup/name/1",
            "arn:aws:waf-regional:eu-west-1:123456789012:webacl/1",
        )
    },
    **{
        f"{name}={value}": ({name: value}, name)
        for name, value in {
            "AllowedCountryCodes": "+1",
            "AllowedCountries": "us",
            "AllowCampaignSends": "no",
            "StopWords": "LEAVE ME",
            "SubscriberAccountIds": "1111",
            "LogRetentionDays": "31",
            "PostbackQueueAgeSeconds": "1209601",  # SQS keeps nothing for longer
            "SendQueueAgeSeconds": "1209601",
            "PublishRetryQueueAgeSeconds": "1209601",
            "EventQueueAgeSeconds": "1209601",
            "StreamAgeMilliseconds": "86400001",  # nor a stream
            "DayAllowancePercent": "101",
            "CreateKmsKey": "yes",
            "SkycoreUrl": "http://secure.skycore.com/",
        }.items()
    },
    **{
        f"{name}={value}": ({name: value}, name)
        for name, (least, most) in WHOLE.items()
        for value in (
            str(least - 1),
            str(most + 1),
            f"{least}.0",
            f"{least}.5",
            f"0{least}",
            f"+{most}",
            f"-{most}",
            f"{most}0",
            f"{most} ",
            "1e1",
            "1,5",
            "ten",
            "",
        )
    },
}


@pytest.mark.parametrize("chosen", GOOD.values(), ids=GOOD)
def test_parameters_that_aws_takes_are_taken(chosen: Any) -> None:
    assert refusals(BODY, chosen) == []


@pytest.mark.parametrize(("chosen", "by"), BAD.values(), ids=BAD)
def test_parameters_that_aws_refuses_are_refused_before_anything_is_made(
    chosen: Any, by: Any
) -> None:
    assert refusals(BODY, chosen) == [by]


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_number_is_taken_between_its_bounds(name: str) -> None:
    least, most = WHOLE[name]
    pattern = re.compile(BODY["Parameters"][name]["AllowedPattern"], re.ASCII)
    tried = {*range(20_000), *range(most - 1, most + 20_000)}
    taken = {number for number in tried if pattern.fullmatch(str(number))}
    assert taken == {number for number in tried if least <= number <= most}


@pytest.mark.parametrize("name", WHOLE)
def test_a_refused_number_is_answered_with_its_bounds(name: str) -> None:
    least, most = WHOLE[name]
    described = BODY["Parameters"][name]["ConstraintDescription"]
    assert described == f"a whole number from {least} to {most}"


def test_every_number_that_takes_a_fraction_is_the_threshold_of_an_alarm() -> None:
    numbers = {name for name, entry in BODY["Parameters"].items() if entry["Type"] == "Number"}
    listed = {name for name in numbers if "AllowedValues" in BODY["Parameters"][name]}
    thresholds = {
        row["Properties"]["Threshold"]["Ref"]
        for row in BODY["Resources"].values()
        if row["Type"] == "AWS::CloudWatch::Alarm"
        and isinstance(row["Properties"]["Threshold"], dict)
    }
    assert numbers - listed == thresholds  # CloudWatch takes fractions of them


def test_every_list_is_in_the_table() -> None:
    lists = {n for n, e in BODY["Parameters"].items() if e["Type"] == "CommaDelimitedList"}
    assert lists == set(LISTS)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("separator", [", ", ",,", " , "])
def test_a_list_that_sam_cuts_at_a_space_is_refused(name: str, separator: str) -> None:
    first, second = LISTS[name].split(",", 1)
    other = VPC if name in VPC else {}
    whole = cut_by_sam(f"{first}{separator}{second}")
    if "," in whole:  # else the second item is gone without a trace
        assert refusals(BODY, {**other, name: whole}) == [f"{name}HasNoEmptyItem"]


@pytest.mark.parametrize("name", LISTS)
def test_a_lists_description_says_how_to_separate(name: str) -> None:
    described = BODY["Parameters"][name]["Description"]
    assert "commas and no spaces, or quote the list" in described
    rule = BODY["Rules"][f"{name}HasNoEmptyItem"]["Assertions"][0]["AssertDescription"]
    assert "no space after a comma, or quote the list" in rule


def test_a_rule_says_which_parameter_to_change() -> None:
    for name, rule in BODY["Rules"].items():
        for row in rule["Assertions"]:
            assert any(one in row["AssertDescription"] for one in BODY["Parameters"]), name


def test_rules_use_the_functions_that_rules_know() -> None:
    """Fn::Join and Fn::If fail there: "Rule functions", CloudFormation Template Reference."""
    known = {"Ref", "Fn::And", "Fn::Contains", "Fn::EachMemberEquals", "Fn::Equals", "Fn::Not"}

    def functions(node: object) -> set[str]:
        if isinstance(node, dict):
            own = {key for key in node if key == "Ref" or key.startswith("Fn::")}
            return own.union(*map(functions, node.values()))
        return set().union(*map(functions, node)) if isinstance(node, list) else set()

    assert functions(BODY["Rules"]) <= known


def test_what_to_decide_first_stands_before_all_profiles_and_deploys() -> None:
    """README deploys with this file: a name that is no parameter would fail there."""
    before = (ROOT / "samconfig.toml").read_text().split("\n# To try things out")[0]
    example = before[before.index("# parameter_overrides = [") :]
    lines = "\n".join(line[2:] for line in example.splitlines() if line.startswith("# "))
    pairs = tomllib.loads(lines)["parameter_overrides"]
    chosen = dict(pair.split("=", 1) for pair in pairs)
    assert refusals(BODY, chosen) == []
    matters = {"MaxCallsPerSecond", "AlarmTopicArn", "EventRetentionDays", "QuietHours"}
    assert matters | {"SendReservedConcurrency", "AckReservedConcurrency"} <= set(chosen)
    assert set(chosen) <= set(BODY["Parameters"])
    assert len(chosen) <= 10


def test_the_example_of_two_stacks_on_one_account_deploys_and_adds_up() -> None:
    example = (ROOT / "samconfig.toml").read_text().split("# [alerts.global.parameters]")[1]
    lines = ["[alerts.global.parameters]", *(line[2:] for line in example.splitlines()[1:])]
    profiles = tomllib.loads("\n".join(lines))
    page = (ROOT / "docs" / "limits.md").read_text()
    sums = [0, 0, 0]
    for profile in profiles.values():
        pairs = profile["deploy"]["parameters"]["parameter_overrides"]
        chosen = dict(pair.split("=") for pair in pairs)
        assert refusals(BODY, chosen) == []
        second, minute, day, share = map(int, chosen.values())
        of_queued = [limit * (100 - share) / 100 for limit in (second, minute, day)]
        name = profile["global"]["parameters"]["stack_name"]
        row = re.search(rf"^\| `{name}` \| [^|]+ \| (.+) \|$", page, re.MULTILINE)
        assert row is not None
        queued = "{:g}/s, {:g} a minute, {:g} a day".format(*of_queued)
        assert row[1] == f"{second} | {minute} | {day} | {share} | {queued}"
        sums = [a + b for a, b in zip(sums, (second, minute, day), strict=True)]
    assert sums == [10, 300, 10_000]
    assert "Of 10 calls a second, 300 a minute and 10,000 a day" in page
