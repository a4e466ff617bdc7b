"""The sample Lambda events go through the real handlers, against the deployed stack's resources.

tests/contract/test_sample_events.py does so in process. What is left for here is the last release's
app.py on today's layer with AWS's clients, which changes with a release only: make test-long.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.released import INTERFACE, environment, released_apps
from tests.sample_events import EXPECTED, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import Stack

pytestmark = pytest.mark.long

LAYER = ROOT / "layers" / "skycore"
RELEASED = json.loads(INTERFACE.read_text())
TODAY = environment()
RUN = "import app, json, sys; print(json.dumps(app.handler(json.load(sys.stdin), None)))"


def verb_of(sample: str) -> str:
    return sample.partition("/")[0]


def handled(
    stack: Stack,
    sample: str,
    *,
    function: Path | None = None,
    layer: Path = LAYER,
    variables: list[str] | None = None,
) -> dict[str, Any]:
    """Return what a function's handler answers to `verb/sample`, in a process of its own.

    `function` is the folder of app.py, `layer` the folder of the package, and `variables` names
    what the template's environment has; without them all is as it is today.
    """
    verb = verb_of(sample)
    name = stack.resource(f"{verb.title()}Function")
    configuration = stack.admin("lambda").get_function_configuration(FunctionName=name)
    deployed = configuration["Environment"]["Variables"]
    token = stack.description["postback_url"].rsplit("/", 1)[1]
    event = (ROOT / "events" / f"{sample}.json").read_text().replace('"TOKEN"', f'"{token}"')
    environment = {
        "PATH": os.environ["PATH"],
        **{name: deployed[name] for name in variables or deployed},
        "AWS_ENDPOINT_URL": stack.description["endpoint_url"],
        "AWS_REGION": stack.description["region"],
        "AWS_DEFAULT_REGION": stack.description["region"],
        "AWS_ACCESS_KEY_ID": stack.description["admin_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": stack.description["admin_secret_access_key"],
        "PYTHONPATH": f"{function or ROOT / 'functions' / verb}:{layer}",
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=event,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def expect(answer: dict[str, Any], sample: str) -> None:
    expected = EXPECTED[sample]
    if isinstance(expected, int):
        assert answer["statusCode"] == expected, answer
    elif sample.startswith("sweep/"):  # what it finds depends on the messages of other tests
        assert answer.keys() == expected.keys()
    else:
        assert answer == expected


@pytest.mark.parametrize("sample", EXPECTED)
def test_the_handler_takes_it(stack: Stack, sample: Any) -> None:
    expect(handled(stack, sample), sample)


def halves() -> Iterator[tuple[str, list[str]]]:
    """Yield the samples of the last release with the environments of an update: before, after."""
    for sample in RELEASED["samples"]:
        before, after = (names[verb_of(sample)] for names in (RELEASED["environment"], TODAY))
        yield sample, before
        if after != before:
            yield sample, after


@pytest.mark.parametrize(("sample", "variables"), list(halves()))
def test_the_released_app_runs_on_todays_layer(
    stack: Stack, tmp_path: Path, sample: Any, variables: Any
) -> None:
    (tmp_path / "app.py").write_text(released_apps()[verb_of(sample)])
    expect(handled(stack, sample, function=tmp_path, variables=variables), sample)
