"""The address that Skycore is given: whose it is, and that it was tried before it is shown."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ops import address, stack, token
from ops.address import WRONG_TOKEN, try_address
from ops.output import Refused
from ops.stack import Stack

if TYPE_CHECKING:
    from tests.unit.ops.servers import Server

TOKEN = "t" * 48
OPS = Path(address.__file__).parent


OURS = {"code": "message_not_found", "status": 404}


def deployed(server: Server, **parameters: str) -> Any:
    return Namespace(api_url=server.url, parameters=parameters)


def test_our_404_is_the_stacks_api(server: Server) -> None:
    server.answers(404, OURS)
    assert try_address(deployed(server)) is None
    assert server.paths == [f"/v1/postbacks/{WRONG_TOKEN}"]


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (404, {"message": "Not Found"}, {}),
        (404, b"<html>", {}),
        (404, ["code"], {}),
        (200, OURS, {}),
        (302, b"", {"Location": "/elsewhere"}),
        (403, {"message": "Forbidden"}, {}),
        (403, {"code": "forbidden"}, {}),  # no parameter explains it
        (500, {"message": "Internal server error"}, {"x-amz-apigw-id": "an-id"}),
    ],
    ids=["404", "html", "list", "200", "redirect", "403", "403 of ours", "500"],
)
def test_another_answer_is_not_the_stacks_api(
    server: Server, status: int, body: Any, headers: dict[str, Any]
) -> None:
    server.answers(status, body, **headers)
    with pytest.raises(Refused, match=f"answered {status}.*Do not give this address to Skycore"):
        try_address(deployed(server))
    assert len(server.paths) == 1


@pytest.mark.parametrize(
    ("body", "headers"),
    [({"code": "forbidden"}, {}), ({"Message": "not authorized"}, {"x-amz-apigw-id": "an-id"})],
    ids=["our document", "the gateway's header"],
)
@pytest.mark.parametrize("parameter", ["PostbackAllowedCidrs", "WebAclArn"])
def test_a_gateway_that_does_not_let_this_machine_through_is_said(
    server: Server, body: dict[str, Any], headers: dict[str, Any], parameter: str
) -> None:
    server.answers(403, body, **headers)
    remark = try_address(deployed(server, **{parameter: "192.0.2.0/24"}))
    assert remark is not None
    assert f"refuses this machine's address ({parameter})" in remark


def test_a_403_of_another_server_is_not_the_gateways(server: Server) -> None:
    server.answers(403, {"message": "Forbidden"})
    with pytest.raises(Refused, match="answered 403"):
        try_address(deployed(server, PostbackAllowedCidrs="192.0.2.0/24"))


def test_an_address_that_does_not_answer_is_given_up_in_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "SECONDS", 0.2)
    server.seconds = 2.0
    with pytest.raises(Refused, match="gave no answer within 0 s"):
        try_address(deployed(server))


def test_an_address_that_nobody_listens_at_is_said(server: Server) -> None:
    server.close()
    with pytest.raises(Refused, match="cannot be reached"):
        try_address(deployed(server))


def test_the_dns_record_is_what_to_do_where_there_is_a_domain(server: Server) -> None:
    server.close()
    with pytest.raises(Refused, match="ApiDomainTarget"):
        try_address(deployed(server, DomainName="sms.example.com"))


class Secrets:
    """Keeps what was stored."""

    exceptions = Namespace(ResourceNotFoundException=KeyError)

    def __init__(self) -> None:
        self.stored: list[str] = []

    def get_secret_value(self, VersionStage: str = "AWSCURRENT", **_: Any) -> dict[str, str]:  # noqa: N803 - as AWS names it
        if VersionStage == "AWSPREVIOUS":
            raise KeyError
        return {"SecretString": TOKEN}

    def put_secret_value(self, SecretString: str, **_: Any) -> None:  # noqa: N803 - as AWS names it
        self.stored.append(SecretString)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token, "token_last_used", lambda _: datetime.now(UTC))


@pytest.mark.usefixtures("used")
@pytest.mark.parametrize("command", [token.url, token.rotate], ids=["postback-url", "rotate-token"])
def test_an_address_that_is_not_ours_is_not_shown_and_gets_no_token(
    command: Any, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers(404, b"<html>another's</html>")
    secrets = Secrets()
    target = deployed(server)
    target.name, target.ask = "skycore", True
    target.client, target.id_of = lambda _: secrets, str
    args = Namespace(yes=True, force=True, no_wait=True, unchecked=False)
    with pytest.raises(Refused):
        command(target, args)
    assert secrets.stored == []
    assert TOKEN not in capsys.readouterr().out + str(server.paths)
    shown = command(target, Namespace(**{**vars(args), "unchecked": True})).shown
    assert shown[0].startswith(f"{server.url}/postbacks/")


# --- Which address it is --------------------------------------------------------------------------

OUTPUT = "https://a1b2c3.execute-api.eusc-de-east-1.amazonaws.eu/v1"
LOCAL = {
    "stack_name": "skycore",
    "endpoint_url": "http://127.0.0.1:4566",
    "api_url": "http://127.0.0.1:4566/_aws/execute-api/x/v1",
}
DESCRIBED = {
    "StackStatus": "CREATE_COMPLETE",
    "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
    "Parameters": [{"ParameterKey": "EventRetentionDays", "ParameterValue": "90"}],
    "Outputs": [
        {"OutputKey": "TableName", "OutputValue": "t"},
        {"OutputKey": "EventTopicArn", "OutputValue": "a"},
        {"OutputKey": "ApiUrl", "OutputValue": OUTPUT},
    ],
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Without AWS: a description of the stack, and no settings but those that a test makes."""
    monkeypatch.setattr(Stack, "_describe", lambda _: DESCRIBED)
    monkeypatch.setattr("skycore.table.models.use_table", lambda *_: None)
    monkeypatch.setattr(stack, "ROOT", tmp_path)
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "LOCAL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return monkeypatch


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_REGION": "eusc-de-east-1"},
        {"AWS_REGION": "cn-north-1"},
        {"AWS_REGION": "us-gov-west-1"},
        {"AWS_ENDPOINT_URL": "https://aws-proxy.example"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:9999"},
        {"AWS_ENDPOINT_URL_CLOUDFORMATION": "http://localhost:8080"},
    ],
    ids=str,
)
def test_on_aws_the_address_is_the_output_whatever_the_endpoint_is(
    settings: dict[str, Any], environment: Any
) -> None:
    for name, value in settings.items():
        environment.setenv(name, value)
    assert Stack("skycore", ask=True).api_url == OUTPUT


@pytest.mark.parametrize("service", ["", "_CLOUDFORMATION"])
def test_the_local_stack_is_known_by_its_name_and_endpoint(
    service: str, environment: Any, tmp_path: Path
) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").write_text(json.dumps(LOCAL))
    assert Stack("skycore", ask=True).api_url == OUTPUT  # AWS, beside a local stack of this name
    environment.setenv(f"AWS_ENDPOINT_URL{service}", LOCAL["endpoint_url"] + "/")
    assert Stack("skycore", ask=True).api_url == LOCAL["api_url"]
    assert Stack("another", ask=True).api_url == OUTPUT
    environment.setenv(f"AWS_ENDPOINT_URL{service}", "http://127.0.0.1:4599")
    assert Stack("skycore", ask=True).api_url == OUTPUT


def test_the_region_of_the_aws_cli_comes_first(environment: Any) -> None:
    environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
    environment.setenv("AWS_REGION", "eu-west-1")
    assert Stack("skycore", ask=True).region == "eu-west-1"
    environment.delenv("AWS_REGION")
    assert Stack("skycore", ask=True).region == "us-east-1"


def test_no_source_of_ops_reads_a_host_name_or_names_a_partition() -> None:
    guesses = ("amazonaws", "api.aws", "arn:aws:", "urlsplit", "hostname")
    found = [
        line
        for path in OPS.rglob("*.py")
        for line in path.read_text().splitlines()
        if any(word in line for word in guesses)
        and '"Service": "sns.amazonaws.com"' not in line  # the principal of every partition
        and not line.startswith("  python -m ops ")  # an example of --help
    ]
    assert found == []
