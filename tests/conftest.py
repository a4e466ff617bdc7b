"""What all tests share."""

from __future__ import annotations

import importlib.util
import os
import sys
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.services import dynamodb_local

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

TABLE_HELPERS = ("tests.unit.table.tables", "tests.unit.table.limit_table")
LOCAL_EXAMPLES = 5  # of a property on DynamoDB Local, where a call takes milliseconds

ROOT = Path(__file__).resolve().parents[1]

# Nothing in a test may reach an account: no key, no region, no endpoint but what a test sets.
os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    AWS_REGION="us-east-1",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
    TABLE_NAME="table",
    STACK_NAME="skycore",
)

if importlib.util.find_spec("hypothesis"):  # not where the page is tested
    from hypothesis import HealthCheck, settings

    # Else an example that takes 200 ms fails its test: on a slow machine, for nothing.
    settings.register_profile(
        "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--dynamodb-local",
        action="store_true",
        help="unit tests: put their tables on AWS's DynamoDB Local (needs java and npm)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start one DynamoDB Local for all workers, which take its URL from the environment."""
    if config.getoption("dynamodb_local"):
        import hypothesis  # not in the environment of the browser's tests

        hypothesis.settings.register_profile("dynamodb-local", max_examples=LOCAL_EXAMPLES)
        hypothesis.settings.load_profile("dynamodb-local")
    in_worker = hasattr(config, "workerinput")
    if config.getoption("dynamodb_local") and not in_worker and not dynamodb_local.missing():
        stack = ExitStack()
        os.environ["DYNAMODB_LOCAL_URL"] = stack.enter_context(dynamodb_local.running())
        config.add_cleanup(stack.close)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --dynamodb-local, leave only tests that use a table; skip what cannot run there."""
    if not config.getoption("dynamodb_local"):
        return
    without_table = [item for item in items if not _uses_table(item)]
    config.hook.pytest_deselected(items=without_table)
    items[:] = [item for item in items if item not in without_table]
    missing = None if os.environ.get("DYNAMODB_LOCAL_URL") else dynamodb_local.missing()
    for item in items:
        in_memory = item.get_closest_marker("in_memory")
        if reason := missing or (in_memory and in_memory.args[0]):
            item.add_marker(pytest.mark.skip(reason=reason))


def _uses_table(item: pytest.Item) -> bool:
    """Return whether a test has a table: by the fixture `table` or a helper that makes tables.

    The others would repeat what they do without --dynamodb-local.
    """
    if "unit" not in item.path.parts:
        return True
    module = item.getparent(pytest.Module)
    names = vars(module.obj).values() if module else ()
    helpers = any(getattr(value, "__module__", None) in TABLE_HELPERS for value in names)
    return helpers or "table" in getattr(item, "fixturenames", ())


@cache
def _app(verb: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        f"{verb}_app", ROOT / "functions" / verb / "app.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def app() -> Callable[[str], ModuleType]:
    """The app module of a function, by its verb."""
    return _app
