"""The app.py and the layer of two releases in a row work together, both ways.

`release` holds what the last release ships. Until 1.0.0 is published it holds what will be: change
an app.py or what it calls, then run python -m tests.contract.released. Afterwards only a release
does that. tests/integration/test_sample_events.py runs the released app.py files.
"""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.halves import misfits, offer, required, taken
from tests.contract.released import INTERFACE, apps, environment, permissions, released_apps

if TYPE_CHECKING:
    from collections.abc import Callable

RELEASED = json.loads(INTERFACE.read_text())
RELEASED_APPS, APPS = released_apps(), apps()
REFRESH = "; before 1.0.0, run python -m tests.contract.released"


def test_the_release_has_every_function_with_its_environment() -> None:
    assert RELEASED_APPS.keys() == RELEASED["environment"].keys()
    assert len(RELEASED_APPS) >= 8
    assert {name.split("/")[0] for name in RELEASED["samples"]} == RELEASED_APPS.keys()


@pytest.mark.parametrize("verb", RELEASED_APPS)
def test_the_released_app_runs_on_todays_layer(verb: Any) -> None:
    app = taken(RELEASED_APPS[verb])
    assert misfits(app, offer([app])) == [], f"keep the old name or parameters too{REFRESH}"


@pytest.mark.parametrize("verb", RELEASED_APPS)
def test_todays_app_runs_on_the_released_layer(verb: Any) -> None:
    found = misfits(taken(APPS[verb]), RELEASED["layer"])
    assert found == [], f"let app.py use it one release after the layer has it{REFRESH}"


@pytest.mark.parametrize("verb", RELEASED_APPS)
def test_the_released_app_runs_in_todays_environment(verb: Any) -> None:
    gone = set(RELEASED["environment"][verb]) - set(environment()[verb])
    assert gone == set(), f"keep the variable for one more release{REFRESH}"


@pytest.mark.parametrize("verb", RELEASED_APPS)
def test_todays_app_runs_in_the_released_environment(
    app: Callable[[str], ModuleType], verb: Any
) -> None:
    new = required(app(verb)) - set(RELEASED["environment"][verb])
    assert new == set(), f"give the field of Settings a default{REFRESH}"


@pytest.mark.parametrize("verb", RELEASED_APPS)
def test_the_released_function_may_do_what_it_did(verb: Any) -> None:
    """A role is updated before its function."""
    gone = set(RELEASED["permissions"][verb]) - set(permissions()[verb])
    assert gone == set(), f"allow the action for one more release{REFRESH}"


# --- the comparison itself --------------------------------------------------------------------

APP = """
from __future__ import annotations
from typing import TYPE_CHECKING
from skycore.changed import Rules, send
from skycore import changed as module
if TYPE_CHECKING:
    from skycore.changed import Request

def handler(request: Request):
    send(request.body, key=1)
    Rules.of(1)
    module.other()
"""


class Request:
    body = b""


def layer(**replaced: Any) -> Any:
    """A layer that suits APP, but for what is replaced; what is None is not there."""
    offered = {
        "send": lambda body, *, key, more=None: None,
        "Rules": SimpleNamespace(of=lambda days: None),
        "other": lambda: None,
        "Request": Request,
    }
    members = {name: value for name, value in {**offered, **replaced}.items() if value is not None}
    return SimpleNamespace(**members)


@pytest.fixture
def misfits_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What is wrong with APP on a layer of which some things are replaced."""

    def found(**replaced: Any) -> Any:
        changed = layer(**replaced)
        monkeypatch.setitem(sys.modules, "skycore.changed", changed)
        monkeypatch.setattr("skycore.changed", changed, raising=False)
        return misfits(taken(APP), offer([taken(APP)]))

    return found


def test_an_app_fits_the_layer_it_was_written_for(misfits_of: Any) -> None:
    assert misfits_of() == []


@pytest.mark.parametrize(
    ("replaced", "named"),
    [
        ({"send": None}, "no skycore.changed.send"),
        ({"send": lambda body: None}, "keyword argument 'key'"),
        ({"send": lambda body, *, key, more: None}, "'more'"),
        ({"send": lambda *, body, key: None}, "positional"),
        ({"Rules": SimpleNamespace()}, "no skycore.changed.Rules.of"),
        ({"Rules": SimpleNamespace(of=lambda: None)}, "too many positional"),
        ({"other": None}, "no skycore.changed.other"),
        ({"Request": SimpleNamespace()}, "no body in skycore.changed.Request"),
    ],
)
def test_a_change_that_app_does_not_fit_is_seen(misfits_of: Any, replaced: Any, named: str) -> None:
    (found,) = misfits_of(**replaced)
    assert named in found
