"""The tables are consistent, and the README shows them."""

from collections import Counter
from pathlib import Path

import pytest

from skycore_simulator.tables import DATA, table

README = Path(__file__).parents[1] / "README.md"
ROWS = [(kind, name, row) for kind in ("outcomes", "modes") for name, row in table(kind).items()]


def test_magic_numbers_are_used_once() -> None:
    assert max(Counter(row["to"] for _, _, row in ROWS).values()) == 1


@pytest.mark.parametrize("kind, name, row", ROWS, ids=[name for _, name, _ in ROWS])
def test_the_readme_has_every_row(kind: str, name: str, row: dict[str, str]) -> None:
    sent = {True: "yes | ", False: "no | "}[bool(row["accepts"])] if kind == "modes" else ""
    line = f"| `{name}` | `{row['to']}` | {sent}{row['meaning']} |"
    assert line in README.read_text(encoding="utf-8").splitlines()


def test_every_code_of_an_outcome_has_a_shape() -> None:
    known = {code for shape in table("postback_shapes").values() for code in shape["codes"]}
    for row in table("outcomes").values():
        for step in row["sms"] + row["mms"] + row.get("ddm", []):
            assert step[0] in known


def test_every_code_for_a_missing_field_is_known() -> None:
    for facts in table("actions").values():
        assert set(facts["missing"].values()) <= set(table("errors"))
        assert set(facts["missing"]) <= set(facts["fields"])


def test_all_tables_are_read() -> None:
    for path in DATA.glob("*.json"):
        assert table(path.stem)


def test_every_code_of_a_postback_has_words() -> None:
    shapes = table("postback_shapes").values()
    assert {code for shape in shapes for code in shape["codes"]} == set(table("postback_words"))
