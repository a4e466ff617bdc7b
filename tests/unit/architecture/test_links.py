"""Every link between the pages, and every page that the code names, leads somewhere."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LINK = re.compile(r"\]\((?!\w+:)([^()\s]*)\)")
NAMED = re.compile(r"\bdocs/([\w/-]+\.md(?:#[\w-]+)?)")  # in code, templates and texts
CODE_SPAN = re.compile(r"```.*?```", re.DOTALL)


def tracked(*patterns: str) -> list[Path]:
    """Return the files of the repository, without what is built."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for line in listed.splitlines() if (path := ROOT / line).is_file()]


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    text = CODE_SPAN.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading) for heading in headings)
    return frozenset(re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in plain)


def is_missing(page: Path, target: str) -> bool:
    """Whether a link on `page` leads to no file or no heading."""
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.exists():
        return True
    return bool(anchor) and path.suffix == ".md" and anchor not in anchors(path)


PAGES = tracked("*.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    links = LINK.findall(CODE_SPAN.sub("", page.read_text()))
    assert [link for link in links if is_missing(page, link)] == []


def test_a_page_that_code_names_exists() -> None:
    """Alarms, error texts, comments and help name pages, some with a heading."""
    sources = tracked("*.py", "*.yaml", "*.toml", "*.json", "Makefile")
    named = {
        (path.relative_to(ROOT), target)
        for path in sources
        for target in NAMED.findall(path.read_text())
    }
    assert len(named) > 20
    missing = [one for one in sorted(named) if is_missing(ROOT / "docs" / "x.md", one[1])]
    assert missing == []


@pytest.mark.parametrize("target", ["nothing.md", "../README.md#nothing", "#nothing"])
def test_the_check_finds_a_link_that_leads_nowhere(target: str) -> None:
    assert is_missing(ROOT / "docs" / "sending.md", target)
