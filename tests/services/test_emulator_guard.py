"""The emulator of the local stack serves this clone's stack alone."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from tests.emulator import Emulator, running

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT_KEY = "test"
ACCOUNT = "000000000000"
SIGNED = "AWS4-HMAC-SHA256 Credential={key}/20261129/us-east-1/s3/aws4_request, Signature=0"
CREATE_FUNCTION = "/2015-03-31/functions"
CREDENTIAL = "X-Amz-Credential={key}/20261129/us-east-1/lambda/aws4_request"
API = "/_aws/execute-api/api/v1/postbacks/token"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("emulator")) as started:
        yield started


def client(emulator: Emulator, service: str, *keys: str) -> Any:
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    named: Any = dict(zip(names, keys, strict=False))
    session: Any = boto3.Session(region_name="us-east-1", **named)
    return session.client(service, endpoint_url=emulator.url)


def root(emulator: Emulator, service: str) -> Any:
    return client(emulator, service, ROOT_KEY, "any", emulator.secret)


def zipped(name: str, text: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo(name), text)  # of no time
    return archive.getvalue()


GUARDED = (
    "requests from web pages are refused",
    "use 127.0.0.1 or localhost as the host name",
    "the emulator's own routes are closed",
    "requests must be signed",
    "the built-in key is closed; use the keys in .local/stack.json",
)
REFUSED = [
    # web pages
    ("GET", "/_ministack/health", {"Origin": "https://evil.example"}),
    ("GET", "/_ministack/health", {"Origin": "null"}),
    ("GET", "/_ministack/health", {"Sec-Fetch-Site": "cross-site"}),
    ("GET", "/_ministack/health", {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
    ("POST", API, {"Origin": "http://127.0.0.1"}),
    ("OPTIONS", "/", {"Access-Control-Request-Method": "POST"}),
    # foreign hosts
    ("GET", "/_ministack/health", {"Host": "evil.example"}),
    ("GET", "/_ministack/health", {"Host": "127.0.0.1.evil.example"}),
    ("GET", "/_ministack/health", {"Host": "127.0.0.1@evil.example"}),
    ("GET", "/_ministack/health", {"Host": "192.168.0.7"}),
    ("POST", API, {"Host": "abc.execute-api.evil.example"}),
    # the emulator's own routes, with a key or without one
    ("POST", "/_ministack/reset", {}),
    ("POST", "/_ministack/reset", {"Authorization": SIGNED.format(key="AKIA")}),
    ("POST", "/_ministack/config", {}),
    ("GET", "/_ministack/sqs/messages", {}),
    ("GET", "/_aws/lambda-url/id/", {}),
    # no key, the built-in key, an account's number, which is another built-in key
    ("GET", "/", {}),
    ("PUT", "/bucket", {}),
    ("POST", CREATE_FUNCTION, {}),
    ("POST", "/v1/chat/completions", {}),  # the emulator serves some paths to anybody
    ("GET", "/v1/apis", {}),
    ("POST", CREATE_FUNCTION, {"Authorization": SIGNED.format(key=ROOT_KEY)}),
    ("POST", CREATE_FUNCTION, {"Authorization": SIGNED.format(key=ACCOUNT)}),
    ("POST", CREATE_FUNCTION, {"Authorization": f"AWS {ROOT_KEY}:signature"}),
    ("POST", CREATE_FUNCTION, {"Authorization": "Bearer anything"}),
    ("POST", f"{CREATE_FUNCTION}?{CREDENTIAL.format(key=ROOT_KEY)}", {}),
    ("POST", f"{CREATE_FUNCTION}?AWSAccessKeyId={ROOT_KEY}", {}),
    ("POST", API, {"Authorization": SIGNED.format(key=ROOT_KEY)}),
    ("POST", API, {"Authorization": "Bearer anything"}),
    # the built-in key beside another one
    (
        "POST",
        f"{CREATE_FUNCTION}?{CREDENTIAL.format(key=ROOT_KEY)}",
        {"Authorization": SIGNED.format(key="AKIA")},
    ),
]


@pytest.mark.parametrize(("method", "path", "headers"), REFUSED, ids=str)
def test_a_stranger_is_refused(
    emulator: Emulator, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = requests.request(method, emulator.url + path, headers=headers, timeout=30)
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers
    # The guard's answer, and not one of the emulator's own.
    assert answer.text in GUARDED


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:4566", "[::1]:4566"])
def test_the_stacks_own_requests_are_served(emulator: Emulator, host: str) -> None:
    health = f"{emulator.url}/_ministack/health"
    assert requests.get(health, headers={"Host": host}, timeout=30).status_code == 200
    postback = requests.post(emulator.url + API, headers={"Host": host}, timeout=30)
    assert postback.status_code == 404  # the emulator's: there is no such API


def test_a_client_in_node_is_served(emulator: Emulator) -> None:
    """Node's fetch sends this header of browsers, and none of the others."""
    answer = requests.get(
        f"{emulator.url}/_ministack/health", headers={"Sec-Fetch-Mode": "cors"}, timeout=30
    )
    assert answer.status_code == 200


def test_the_built_in_key_needs_the_secret_of_this_run(emulator: Emulator) -> None:
    name = f"user-{len(root(emulator, 'iam').list_users()['Users'])}"
    root(emulator, "iam").create_user(UserName=name)
    for keys in [(ROOT_KEY, "test"), (ROOT_KEY, "test", "wrong"), (ACCOUNT, "test")]:
        with pytest.raises(ResponseParserError, match="built-in key is closed"):
            client(emulator, "iam", *keys).list_users()


def test_a_users_key_is_still_checked_by_the_emulator(emulator: Emulator) -> None:
    iam = root(emulator, "iam")
    iam.create_user(UserName="somebody")
    iam.put_user_policy(
        UserName="somebody",
        PolicyName="read",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}],
            }
        ),
    )
    key = iam.create_access_key(UserName="somebody")["AccessKey"]
    own = client(emulator, "iam", key["AccessKeyId"], key["SecretAccessKey"])
    assert own.list_users()["Users"]
    with pytest.raises(ClientError, match="signature"):
        client(emulator, "iam", key["AccessKeyId"], "wrong").list_users()


def test_the_credentials_of_a_function_cannot_be_derived_from_its_names(emulator: Emulator) -> None:
    """The emulator makes them of the ARNs of function and role, which every clone shares."""
    role = "arn:aws:iam::000000000000:role/skycore-AckRole"
    root(emulator, "iam").create_role(RoleName="skycore-AckRole", AssumeRolePolicyDocument="{}")
    lambda_ = root(emulator, "lambda")
    function = lambda_.create_function(
        FunctionName="skycore-ack",
        Runtime="python3.13",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": zipped("app.py", "import os\nhandler = lambda *_: dict(os.environ)\n")},
    )["FunctionArn"]
    answer = lambda_.invoke(FunctionName="skycore-ack")["Payload"].read()
    environment = json.loads(answer)
    derived = hashlib.sha256(f"{function}:{role}".encode()).hexdigest()
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert environment["AWS_ACCESS_KEY_ID"] != f"ASIA{derived[:16].upper()}"
    assert (
        environment["AWS_SESSION_TOKEN"] != hashlib.sha256(f"token:{derived}".encode()).hexdigest()
    )
    assert emulator.secret not in answer.decode()
    names = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
    own = client(emulator, "sts", *(environment[f"AWS_{name}"] for name in names))
    assert own.get_caller_identity()["Arn"].endswith("assumed-role/skycore-AckRole/skycore-ack")


def test_functions_share_an_unpacked_layer_and_keep_it_apart_from_others(
    emulator: Emulator,
) -> None:
    """Unpacked for each copy of a function, it would keep the emulator from all other work."""
    lambda_ = root(emulator, "lambda")
    role = "arn:aws:iam::000000000000:role/skycore-LayerRole"
    root(emulator, "iam").create_role(RoleName="skycore-LayerRole", AssumeRolePolicyDocument="{}")
    code = "import os, layered as l\nhandler = lambda *_: [l.TEXT, os.path.realpath(l.__file__)]\n"
    found = {}
    for name, text in (("one", "a"), ("two", "a"), ("three", "b")):
        layer = lambda_.publish_layer_version(
            LayerName=f"layer-{name}",
            Content={"ZipFile": zipped("python/layered.py", f"TEXT = {text!r}\n")},
        )
        lambda_.create_function(
            FunctionName=f"skycore-{name}",
            Runtime="python3.13",
            Role=role,
            Handler="app.handler",
            Code={"ZipFile": zipped("app.py", code)},
            Layers=[layer["LayerVersionArn"]],
        )
        answer = lambda_.invoke(FunctionName=f"skycore-{name}")["Payload"].read()
        found[name] = json.loads(answer)
    assert [text for text, _ in found.values()] == ["a", "a", "b"]
    assert found["one"] == found["two"]
    assert found["one"][1] != found["three"][1]


def test_other_users_of_the_machine_cannot_read_what_it_writes(emulator: Emulator) -> None:
    for file in (emulator.folder / "emulator.secret", emulator.folder / "logs" / "emulator.log"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE((emulator.folder / "emulator-tmp").stat().st_mode) == 0o700
