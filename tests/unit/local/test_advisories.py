"""Known vulnerabilities are found from a copy of the database alone."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from local import advisories

if TYPE_CHECKING:
    from pathlib import Path

ADVISORY = """\
id: PYSEC-2026-1
aliases: [CVE-2026-0001]
affected:
- package: {{name: six, ecosystem: PyPI}}
  ranges:
  - type: GIT
    events: [{{introduced: "0"}}]
  - type: ECOSYSTEM
    events: {events}
  versions: {versions}
"""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def database(folder: Path, events: str, versions: str = "[]", more: str = "") -> Path:
    place = folder / "vulns" / "six"
    place.mkdir(parents=True)
    (place / "PYSEC-2026-1.yaml").write_text(
        ADVISORY.format(events=events, versions=versions) + more
    )
    return folder


@pytest.mark.parametrize(
    ("events", "versions", "affected"),
    [
        ('[{introduced: "0"}]', "[]", True),
        ('[{introduced: "0"}, {fixed: 1.18.0}]', "[]", True),
        ('[{introduced: "0"}, {fixed: 1.17.0}]', "[]", False),
        ("[{introduced: 1.17.0}, {fixed: 1.18.0}]", "[]", True),
        ("[{introduced: 1.18.0}]", "[]", False),
        ('[{introduced: "0"}, {fixed: 1.9.0}, {introduced: 1.16.0}]', "[]", True),
        ('[{introduced: "0"}, {last_affected: 1.17.0}]', "[]", True),
        ('[{introduced: "0"}, {last_affected: 1.16.0}]', "[]", False),
        ("[]", '["1.17.0"]', True),
        ("[]", '["1.16.0"]', False),
    ],
)
def test_a_version_is_affected_as_the_advisory_says(
    tmp_path: Path, events: str, versions: str, affected: bool
) -> None:
    copy = database(tmp_path, events, versions)
    lines = list(advisories.found(copy, {"six": "1.17.0", "other": "1.0"}))
    assert lines == (["six 1.17.0: PYSEC-2026-1, CVE-2026-0001"] if affected else [])


def test_a_withdrawn_advisory_is_none(tmp_path: Path) -> None:
    copy = database(tmp_path, '[{introduced: "0"}]', more='withdrawn: "2026-01-01T00:00:00Z"\n')
    assert list(advisories.found(copy, {"six": "1.17.0"})) == []


def test_an_advisory_fails_the_check_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert advisories.main([str(database(tmp_path, '[{introduced: "0"}]'))]) == 1
    assert "PYSEC-2026-1" in capsys.readouterr().out


def test_no_advisory_is_a_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert advisories.main([str(database(tmp_path, "[]"))]) == 0
    assert capsys.readouterr().out.count(" 0 advisories") == len(advisories.LOCKS)


def test_a_folder_that_is_no_database_is_not_a_success(tmp_path: Path) -> None:
    assert advisories.main([str(tmp_path)]) == 2


@pytest.mark.parametrize("lock", advisories.LOCKS, ids=lambda path: path.name)
def test_every_locked_package_is_compared(lock: Any) -> None:
    lines = [line for line in lock.read_text().splitlines() if "==" in line and line[0] != " "]
    assert len(advisories.pins(lock)) == len(lines) > 0
