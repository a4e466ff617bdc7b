"""A running simulator with the page of the local stack; there is no stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.page.extension import StackColumn
from simulator_harness import Skycore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def stack_file(tmp_path: Path) -> Path:
    """Where the page looks for the stack; a test may write the file."""
    return tmp_path / "stack.json"


@pytest.fixture
def page(stack_file: Path) -> Iterator[Skycore]:
    running = Skycore(page=True, extension=StackColumn(stack_file))
    yield running
    running.close()
