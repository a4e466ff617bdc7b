"""The page at a running simulator; there is no stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.page.page import Page
from tests.unit.simulator.harness import Skycore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.simulator.server import Server


class PageOf(Skycore):
    """A simulator with its page; the stack is in `stack_file`, once a test writes that."""

    def __init__(self, stack_file: Path) -> None:
        self.stack_file = stack_file
        super().__init__(self._with_page)

    def _with_page(self, server: Server) -> None:
        server.extend = Page(server, self.stack_file).extend

    def read(self, path: str, status: int = 200) -> Any:
        answer = self.session.get(f"{self.server.url}_page/{path}")
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[PageOf]:
    running = PageOf(tmp_path / "stack.json")
    yield running
    running.close()
