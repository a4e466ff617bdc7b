"""python -m ops as its user runs it, with the rights that an operator is given."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.integration.conftest import LOCAL_DIR, ROOT, Stack, until

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER, TEXT = "17743199144", "a text that nobody else reads"


def operator_with(stack: Stack, policy: str) -> dict[str, str]:
    """The environment of a new operator with this policy."""
    iam, name = stack.admin("iam"), f"operator-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="operator", PolicyDocument=policy)
    iam.put_user_policy(
        UserName=name, PolicyName="emulator", PolicyDocument=json.dumps(FOR_THE_EMULATOR)
    )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **{name: value for name, value in own.items() if name not in {"TABLE_NAME", "PYTHONPATH"}},
        "LOCAL_DIR": LOCAL_DIR,
        "AWS_ENDPOINT_URL": stack.description["endpoint_url"],
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_REGION": stack.description["region"],
        "AWS_DEFAULT_REGION": stack.description["region"],
    }


# The emulator takes GetFunctionConcurrency, which the policy allows, for the call that sets it.
FOR_THE_EMULATOR = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "lambda:PutFunctionConcurrency", "Resource": "*"}],
}


class Ops:
    """python -m ops, as a process."""

    def __init__(self, stack: Stack, environment: dict[str, str]) -> None:
        self.environment = environment
        self.name = stack.description["stack_name"]

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "ops", "--stack", self.name, *arguments]

    def looked(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess:
        """A run whose exit code depends on what other tests left behind."""
        return subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *arguments: str, code: int = 0, given: str = "") -> subprocess.CompletedProcess:
        done = self.looked(*arguments, given=given)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def json(self, *arguments: str, code: int = 0, given: str = "") -> Any:
        done = self.run("--json", "--yes", *arguments, code=code, given=given)
        assert NUMBER not in done.stdout
        assert TEXT not in done.stdout
        return json.loads(done.stdout)


class Screen:
    """The other side of a terminal that a process has."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.text = descriptor, ""

    def wait_for(self, words: str) -> None:
        def shown() -> bool:
            if select.select([self.descriptor], [], [], 0.1)[0]:
                self.text += os.read(self.descriptor, 4096).decode()
            return words in self.text

        assert until(shown), self.text

    def type(self, line: str) -> None:
        self.wait_for("(not shown)")
        os.write(self.descriptor, line.encode() + b"\n")


@contextmanager
def terminal(ops: Ops, *arguments: str) -> Iterator[tuple[subprocess.Popen, Screen]]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ops.command(*arguments),
        cwd=ROOT,
        env=ops.environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield process, Screen(ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
