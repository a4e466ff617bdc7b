"""The pages in docs/decisions have one form, and their index lists each of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "decisions"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
SECTIONS = ["Context", "Decision", "Consequences"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_decision_has_its_number_and_three_sections(page: Path) -> None:
    text = page.read_text()
    assert re.match(rf"# {page.name[:3]} \S.*\n\n## Context\n", text)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS


def test_the_index_lists_every_decision_by_its_title() -> None:
    listed = re.findall(r"^- \[(.+)\]\((.+)\)$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert listed == [(page.read_text().split("\n", 1)[0][2:], page.name) for page in PAGES]


def test_a_group_starts_at_a_multiple_of_five() -> None:
    """As the index says, so that an unused number does not look like a missing page."""
    numbers = [int(page.name[:3]) for page in PAGES]
    after_gaps = [number for number in numbers if number - 1 not in numbers]
    assert [number for number in after_gaps if number % 5] == [1]  # the first page
