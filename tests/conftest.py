"""What all tests share."""

from __future__ import annotations

import importlib.util
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

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
