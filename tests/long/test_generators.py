"""The generators that people use make usable clients of openapi.yaml; examples/typescript works.

The generators are in .venv-generators and, by npm, in .local/typescript; openapi-generator needs
Java. What a machine lacks is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from api_server import Answer, ApiServer, problem, signature_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
OPENAPI = ROOT / "openapi.yaml"
PROGRAMS = ROOT / ".venv-generators" / "bin"
TYPESCRIPT = ROOT / ".local" / "typescript"
MESSAGE = {
    "message_id": "m-1",
    "status": "accepted",
    "action": "sendSMS",
    "tracking_id": "t-1",
    "to": "17743199144",
    "from": "60856",
    "client_reference": "order-4711",
    "created_at": "2026-11-22T18:12:03Z",
}
LIMITED = problem(429, "rate_limited", retryable=True, title="Over a limit", type="urn:x")

needs_java = pytest.mark.skipif(not shutil.which("java"), reason="Java is not on this machine")
needs_npm = pytest.mark.skipif(not shutil.which("npm"), reason="npm is not on this machine")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a program in a folder; return all that it prints."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


@pytest.fixture
def server() -> Iterator[ApiServer]:
    server = ApiServer()
    yield server
    server.close()


@pytest.fixture(autouse=True, scope="module")
def programs() -> None:
    assert PROGRAMS.exists(), "make test-long makes .venv-generators"


def checked_by_mypy(folder: Path, code: str) -> None:
    """Check code that uses a generated client in a folder, types and all, and run it."""
    (folder / "use.py").write_text(code)
    python = PROGRAMS / "python"
    mypy = ROOT / ".venv" / "bin" / "mypy"
    options: list[str | Path] = [
        "--python-executable",
        python,
        "--config-file",
        os.devnull,
        "--strict",
    ]
    quiet = ["--follow-imports=silent"]  # reports use.py alone, by the client's types
    run(mypy, *options, *quiet, "use.py", cwd=folder)


PYTHON_CLIENT = """
import json, sys
from skycore_api import Client
from skycore_api.api.default import send_batch, send_message
from skycore_api.models import BatchOfMessages, BatchResult, Problem, SendSMS, SentMessage

client = Client(base_url=sys.argv[1])
sms = SendSMS(to="+17743199144", from_="60856", text="Hello", client_reference="order-4711")
sent = send_message.sync(client=client, body=sms, idempotency_key="order-4711")
assert isinstance(sent, SentMessage)
assert sent.message_id == "m-1", sent
assert sent["mms_id"] == "1001"
limited = send_message.sync(client=client, body=sms)
assert isinstance(limited, Problem)
assert limited.code == "rate_limited" and limited.retryable
batch = send_batch.sync(client=client, body=BatchOfMessages(messages=[sms, sms]))
assert isinstance(batch, BatchResult)
assert [entry.status for entry in batch.messages] == ["queued", "refused"]
"""


def test_openapi_python_client(tmp_path: Path, server: ApiServer) -> None:
    package = tmp_path / "skycore_api"
    out = run(
        PROGRAMS / "openapi-python-client",
        *("generate", "--path", OPENAPI, "--meta", "none", "--output-path", package),
        cwd=tmp_path,
    )
    assert out.count("WARNING") <= 1, out  # the body of a postback, of any type
    checked_by_mypy(tmp_path, PYTHON_CLIENT)
    entries = [{"message_id": "m", "status": "queued"}, {"status": "refused", "http_status": 422}]
    summary = {"queued": 1, "scheduled": 0, "refused": 1}
    server.answers = [
        Answer(201, MESSAGE | {"mms_id": "1001"}),
        LIMITED,
        Answer(202, {"messages": entries, "summary": summary}),
    ]
    run(PROGRAMS / "python", "use.py", server.url, cwd=tmp_path)
    assert server.requests[0].headers["idempotency-key"] == "order-4711"
    sms = {"to": "+17743199144", "from": "60856", "text": "Hello", "client_reference": "order-4711"}
    assert server.requests[0].json() == sms


GENERATED_PYTHON = """
import sys
from openapi_client import ApiClient, Configuration, DefaultApi, SendRequest, SendSMS, SentMessage
from openapi_client.exceptions import ApiException

api = DefaultApi(ApiClient(Configuration(host=sys.argv[1], retries=0)))
sms = SendSMS(**{"to": "+17743199144", "from": "60856", "text": "Hello"})
sent: SentMessage = api.send_message(SendRequest(sms), idempotency_key="order-4711")
assert sent.message_id == "m-1", sent
short = '{"to": "1", "from": "1", "text": "x"}'
for text in (short, short.replace("{", '{"action": "sendSMS", ')):
    assert type(SendRequest.from_json(text).actual_instance) is SendSMS
try:
    api.send_message(SendRequest(sms))
except ApiException as error:
    assert error.status == 429 and error.data.code == "rate_limited", error
else:
    raise AssertionError
"""


@needs_java
def test_openapi_generator_for_python(tmp_path: Path, server: ApiServer) -> None:
    run(
        PROGRAMS / "openapi-generator-cli",
        *("generate", "-i", OPENAPI, "-g", "python", "-o", tmp_path),
        cwd=tmp_path,
    )
    (tmp_path / "use.py").write_text(GENERATED_PYTHON)
    server.answers = [Answer(201, MESSAGE), LIMITED]
    run(PROGRAMS / "python", "use.py", server.url, cwd=tmp_path)
    assert server.requests[0].json() == {
        "to": "+17743199144", "from": "60856", "text": "Hello",
    }  # fmt: skip
    run(PROGRAMS / "python", "-m", "compileall", "-q", "openapi_client", cwd=tmp_path)


@pytest.fixture(scope="module")
def typescript() -> Path:
    """Return the folder with node_modules, installed anew when the lock changes."""
    TYPESCRIPT.mkdir(parents=True, exist_ok=True)
    lock = (HERE / "typescript" / "package-lock.json").read_text()
    done = TYPESCRIPT / "installed"
    if not done.exists() or done.read_text() != lock:
        for path in (HERE / "typescript").iterdir():
            shutil.copy(path, TYPESCRIPT)
        run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=TYPESCRIPT)
        done.write_text(lock)
    return TYPESCRIPT


def compiled(typescript: Path, folder: Path, *files: str) -> None:
    """Compile TypeScript files to JavaScript beside them; any error fails."""
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(typescript / "node_modules")
        (folder / "package.json").write_text('{"type": "module"}')
    options = ["--strict", "--module", "nodenext", "--target", "es2022", "--types", "node"]
    run(typescript / "node_modules" / ".bin" / "tsc", *options, *files, cwd=folder)


@needs_java
@needs_npm
def test_openapi_generator_for_typescript(tmp_path: Path, typescript: Path) -> None:
    run(
        PROGRAMS / "openapi-generator-cli",
        *("generate", "-i", OPENAPI, "-g", "typescript-fetch", "-o", tmp_path),
        *("--additional-properties", "importFileExtension=.js"),
        cwd=tmp_path,
    )
    (tmp_path / "use.ts").write_text(
        'import { DefaultApi, type SentMessage } from "./index.js";\n'
        "const sendRequest = "
        '{ action: "sendSMS", to: "+17743199144", from: "60856", text: "Hello" } as const;\n'
        "const sent: SentMessage = await new DefaultApi().sendMessage({ sendRequest });\n"
        "console.log(sent.messageId);\n"
    )
    compiled(typescript, tmp_path, "use.ts")


@needs_npm
def test_the_typescript_example(tmp_path: Path, typescript: Path, server: ApiServer) -> None:
    for name in ("skycore.ts", "send.ts"):
        shutil.copy(ROOT / "examples" / "typescript" / name, tmp_path)
    assert len((tmp_path / "skycore.ts").read_text().splitlines()) <= 50
    programs = typescript / "node_modules" / ".bin"
    run(programs / "openapi-typescript", OPENAPI, "-o", "skycore-api.d.ts", cwd=tmp_path)
    schema = ROOT / "events" / "schema" / "postback-event-v1.json"
    run(programs / "json2ts", schema, "--output", "event.ts", cwd=tmp_path)
    compiled(typescript, tmp_path, "send.ts", "event.ts")
    server.answers = [Answer(cut=True), problem(503, "not_ready", retryable=True)]
    server.answers += [problem(504, "gateway_failure"), Answer(201, MESSAGE)]
    keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
    environment = {**keys, "AWS_REGION": "eu-west-1", "SKYCORE_API_URL": server.url}
    out = run("node", "send.js", cwd=tmp_path, **environment)
    assert out == "m-1 accepted\n"
    assert server.keys() == ["order-4711"] * 4
    for request in server.requests:
        scope, signature = signature_of(request, "secret")
        assert scope.endswith("/eu-west-1/execute-api/aws4_request")
        assert request.headers["authorization"].endswith(f"Signature={signature}")
        assert json.loads(request.body)["client_reference"] == "order-4711"
    server.answers = [problem(504, "outcome_unknown")]
    assert "outcome_unknown" in run("node", "send.js", cwd=tmp_path, **environment)
    assert len(server.requests) == 5
