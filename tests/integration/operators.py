"""The operator's tool with the rights that an operator is given.

Commands run in this process, which saves a second of imports each. What needs a terminal, Ctrl-C
or a reader of its output while it runs starts `Ops.command` as a process.
"""

from __future__ import annotations

import io
import json
import os
import select
import subprocess
import sys
import uuid
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3

from ops.__main__ import main
from skycore.table import models
from tests.integration.conftest import LOCAL_DIR, ROOT, Stack
from tests.patience import until
from tests.terminal import at_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


def run_ops(
    environment: Mapping[str, str], *arguments: str, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `python -m ops` with these arguments and this standard input, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        as_operator(environment),
        patch("sys.stdin", io.StringIO(given)),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            code = main(arguments)
        except SystemExit as end:  # of argparse
            code = int(end.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@contextmanager
def as_operator(environment: Mapping[str, str]) -> Iterator[None]:
    """Give this process another environment; no login, client or table is kept over either end."""
    known = models.Row.Meta.table_name, models.Row.Meta.region
    _forget()
    try:
        with patch.dict(os.environ, environment, clear=True):
            yield
    finally:
        _forget()
        models.use_table(*known)


def _forget() -> None:
    boto3.DEFAULT_SESSION = None
    for name, module in list(sys.modules.items()):
        if name.startswith("skycore.") and not name.startswith("skycore.catalogue"):
            for value in list(vars(module).values()):
                if callable(clear := getattr(value, "cache_clear", None)):
                    clear()


class Ops:
    """The tool, with the stack's name and an operator's environment."""

    def __init__(self, stack: Stack, environment: dict[str, str]) -> None:
        self.environment = environment
        self.name = stack.description["stack_name"]

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a process."""
        return [sys.executable, "-m", "ops", "--stack", self.name, *arguments]

    def looked(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command whose exit code depends on what other tests left behind."""
        return run_ops(self.environment, "--stack", self.name, *arguments, given=given)

    def run(
        self, *arguments: str, code: int = 0, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
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
def terminal(ops: Ops, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Screen]]:
    command = ops.command(*arguments)
    with at_terminal(command, cwd=ROOT, environment=ops.environment) as (process, descriptor):
        yield process, Screen(descriptor)
