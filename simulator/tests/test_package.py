"""The package stands alone: what it imports, and that it installs and runs elsewhere."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import urllib.request
import venv
from pathlib import Path

import aiohttp
import pytest

import skycore_simulator
from simulator_harness import PATIENCE_SECONDS
from skycore_simulator import __version__

PACKAGE = Path(skycore_simulator.__file__).parent
PROJECT = Path(__file__).parents[1]
MAY_IMPORT = {"skycore_simulator", "aiohttp", *sys.stdlib_module_names}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_it_imports_nothing_but_aiohttp_and_the_standard_library(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module or ""]
        else:
            continue
        assert {name.split(".")[0] for name in names} <= MAY_IMPORT


def test_the_declared_dependencies_are_those_imports() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [name.partition(">")[0] for name in project["dependencies"]] == ["aiohttp"]
    assert "version" in project["dynamic"]  # which is skycore_simulator.__version__


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the commands of a new environment that only the built wheel is installed in.

    Needs no network: the wheel is built with this environment's setuptools, and aiohttp is taken
    from here as well.
    """
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    shutil.copytree(PROJECT, source, ignore=shutil.ignore_patterns("tests", "build", "*.egg-info"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    offline = ["--no-deps", "--no-index"]
    build = [*pip, "wheel", *offline, "--no-build-isolation", "-w", str(folder), str(source)]
    subprocess.run(build, check=True, env=clean_environment())
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "environment", symlinks=True)
    python = folder / "environment" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "install"]
    subprocess.run([*install, *offline, str(wheel)], check=True, env=clean_environment())
    (packages,) = (folder / "environment" / "lib").glob("*/site-packages")
    (packages / "aiohttp.pth").write_text(str(Path(aiohttp.__file__).parents[1]))
    return python.parent


def clean_environment() -> dict[str, str]:
    """Nothing of this checkout may help."""
    return {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}


def test_it_installs_and_runs(installed: Path, tmp_path: Path) -> None:
    command = str(installed / "skycore-simulator")
    assert output(tmp_path, command, "--version") == f"skycore-simulator {__version__}\n"
    usage = output(tmp_path, command, "--help")
    for option in ("--port", "--host", "--api-key", "--postback-url", "--no-page"):
        assert option in usage
    for program in ([command], [str(installed / "python"), "-m", "skycore_simulator"]):
        with subprocess.Popen(
            [*program, "--port", "0", "--api-key", "k"],
            cwd=tmp_path,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            text=True,
        ) as running:
            try:
                assert running.stdout is not None
                url = running.stdout.readline().split()[-1]
                query = "?action=sendsms&api_key=k&to=17743199144&from=60856&text=a"
                assert "<STATUS>Success</STATUS>" in read(url + query)
                assert "<h1>Skycore simulator</h1>" in read(url)
                assert "NewestFirst" in read(url + "_page/static/js/newest-first.js")
            finally:
                running.terminate()
        assert running.returncode == 0


def output(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=True
    )
    return done.stdout


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
        text: str = answer.read().decode()
    return text
