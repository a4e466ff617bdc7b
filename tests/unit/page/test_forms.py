"""The send form's descriptions: every action, from openapi.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.page.forms import document, forms
from skycore.catalogue.actions import all_actions

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURE = "http://127.0.0.1:8085/_page/extension/parcel.png"
ALL = forms(PICTURE)
KINDS = {"text", "number", "yes", "choice", "groups", "group", "pairs"}


def test_every_action_of_the_catalogue_has_a_form() -> None:
    assert sorted(form["action"] for form in ALL) == sorted(action.name for action in all_actions())


@pytest.mark.parametrize("form", ALL, ids=lambda form: form["action"])
def test_a_form_has_what_the_page_shows(form: Any) -> None:
    assert form["summary"]
    assert form["path"] in document()["paths"]
    assert form["effect"] in {"send", "read", "create", "write", "delete"}
    names = {field["name"] for field in form["fields"]}
    assert set(form["example"]) - {"action"} <= names
    for field in every(form["fields"]):
        assert field["kind"] in KINDS
        assert field["help"] or field["kind"] == "text"
        assert ("choices" in field) == (field["kind"] == "choice")


def test_the_picture_of_the_examples_is_one_that_is_served() -> None:
    example = next(form for form in ALL if form["action"] == "sendMMS")["example"]
    assert example["slides"][0]["image"] == PICTURE


def every(fields: Any) -> Iterator[Any]:
    for field in fields:
        yield field
        yield from every(field.get("fields", []))
