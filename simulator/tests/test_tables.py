"""The simulator's tables fit together, its README shows them, and it stands alone."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import local.simulator
from local.simulator.catalogue import DATA, table

HOME = Path(local.simulator.__file__).parent
ROWS = [(kind, name, row) for kind in ("outcomes", "modes") for name, row in table(kind).items()]


def test_magic_numbers_are_used_once() -> None:
    assert max(Counter(row["to"] for _, _, row in ROWS).values()) == 1


@pytest.mark.parametrize("kind, name, row", ROWS, ids=[name for _, name, _ in ROWS])
def test_the_readme_has_every_row(kind: str, name: str, row: dict[str, str]) -> None:
    sent = {True: "yes | ", False: "no | "}[bool(row["accepts"])] if kind == "modes" else ""
    line = f"| `{name}` | `{row['to']}` | {sent}{row['meaning']} |"
    assert line in (HOME / "README.md").read_text(encoding="utf-8").splitlines()


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


@pytest.mark.parametrize("path", sorted(HOME.rglob("*.py")), ids=lambda p: p.stem)
def test_nothing_of_the_product_is_imported(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        assert not any(name.split(".")[0] in ("skycore", "functions") for name in names)
        assert not any(n.startswith("local.") and "simulator" not in n for n in names)
