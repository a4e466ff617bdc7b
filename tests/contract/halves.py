"""A function's two halves: what its app.py takes from the layer, and what a layer offers.

CloudFormation replaces app.py in one call, layers and environment in another, so for seconds an
app.py runs on the layer of the release before or after its own (docs/upgrade.md).
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import pkgutil
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAliasType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

PACKAGE = "skycore."


@dataclass(frozen=True)
class Call:
    """A call that app.py makes of something in the layer."""

    name: str
    positional: int
    keywords: tuple[str, ...]


@dataclass(frozen=True)
class Taken:
    """What an app.py takes from the layer when it runs; names are dotted paths."""

    names: frozenset[str]
    calls: frozenset[Call]
    attributes: frozenset[tuple[str, str]]  # class of a parameter, attribute that app.py reads


def taken(source: str) -> Taken:
    """Return what the app.py with this text takes from the layer."""
    tree = ast.parse(source)
    annotations = {node for block in _type_checking(tree) for node in ast.walk(block)}
    runtime = _imported(node for node in ast.walk(tree) if node not in annotations)
    every = runtime | _imported(annotations)
    attributes = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            classes = {
                argument.arg: every[argument.annotation.id]
                for argument in function.args.args
                if isinstance(argument.annotation, ast.Name) and argument.annotation.id in every
            }
            attributes |= {
                (classes[node.value.id], node.attr)
                for node in ast.walk(function)
                if isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in classes
            }
    names, calls = set(runtime.values()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _path(node, runtime):
            names.add(_path(node, runtime))
        if isinstance(node, ast.Call) and (name := _path(node.func, runtime)):
            keywords = tuple(keyword.arg for keyword in node.keywords if keyword.arg)
            calls.add(Call(name, len(node.args), keywords))
    return Taken(frozenset(names), frozenset(calls), frozenset(attributes))


def _type_checking(tree: ast.Module) -> list[ast.If]:
    return [
        node
        for node in tree.body
        if isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    ]


def _imported(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Return the dotted path of everything imported from the layer, by its name in app.py."""
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(PACKAGE)
        for alias in node.names
    }


def _path(node: ast.expr, imported: Mapping[str, str]) -> str:
    """Return the dotted path that `name` or `name.attribute` stands for; empty if not ours."""
    if isinstance(node, ast.Attribute):
        path = _path(node.value, imported)
        return f"{path}.{node.attr}" if path else ""
    return imported.get(node.id, "") if isinstance(node, ast.Name) else ""


type Offer = dict[str, str | list[str]]  # parameters of what can be called, attributes of a class


def offer(wanted: Iterable[Taken]) -> Offer:
    """Return what the layer on the path offers of `wanted`; what it lacks is left out."""
    every = list(wanted)
    offered: Offer = {}
    for name in sorted({name for one in every for name in one.names}):
        with contextlib.suppress(ImportError, AttributeError):
            offered[name] = _parameters(pkgutil.resolve_name(name))
    for name in sorted({name for one in every for name, _ in one.attributes}):
        with contextlib.suppress(ImportError, AttributeError):
            found = pkgutil.resolve_name(name)
            own = set(getattr(found, "__dataclass_fields__", {}))
            public = {key for key in dir(found) if not key.startswith("_")}
            offered[f"{name}()"] = sorted(own | public)
    return offered


def _parameters(value: Any) -> str:
    """Return the parameters as a `def` has them, defaults as `...`; empty if it takes none."""
    if not callable(value) or isinstance(value, TypeAliasType):
        return ""
    parameters = [
        parameter.replace(
            annotation=parameter.empty,
            default=parameter.empty if parameter.default is parameter.empty else ...,
        )
        for parameter in inspect.signature(value).parameters.values()
    ]
    text = str(inspect.Signature(parameters)).replace("=Ellipsis", "=...")
    return text[1:-1]


def misfits(app: Taken, offered: Offer) -> list[str]:
    """Return why this app.py would fail on a layer with this offer; empty if it would not."""
    found = [f"no {name}" for name in sorted(app.names - offered.keys())]
    for call in sorted(app.calls, key=lambda call: call.name):
        if call.name in offered:
            try:
                _signature(str(offered[call.name])).bind(
                    *[None] * call.positional, **dict.fromkeys(call.keywords)
                )
            except TypeError as error:
                found.append(f"{call.name}({offered[call.name]}): {error}")
    found += [
        f"no {attribute} in {name}"
        for name, attribute in sorted(app.attributes)
        if attribute not in offered.get(f"{name}()", [])
    ]
    return found


def _signature(parameters: str) -> inspect.Signature:
    scope: dict[str, Any] = {}
    exec(f"def function({parameters}): ...", scope)
    return inspect.signature(scope["function"])


def required(app: ModuleType) -> set[str]:
    """Return the environment variables without which this app.py does not start."""
    settings = getattr(app, "Settings", None)
    if settings is None:
        return set()
    return {field.name.upper() for field in fields(settings) if field.default is MISSING}
