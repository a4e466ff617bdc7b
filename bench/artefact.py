"""What would be deployed, as `sam build` makes it, and fresh processes that run on it alone."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TIMED = ROOT / "bench" / "timed"
REQUIREMENTS = ROOT / "layers" / "dependencies" / "requirements.txt"
STOCK = ROOT / ".local" / "stock"
LAYERS = ("DependenciesLayer", "SkycoreLayer")
# The interpreter that the virtual environment was made from, without that environment's packages.
PYTHON = sys._base_executable  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way

# As in a function of the template; limits are on, and so high that nobody waits.
SETTINGS = {
    "TABLE_NAME": "table",
    "STACK_NAME": "bench",
    "LOG_LEVEL": "INFO",
    "TOKEN_SECRET": "token",
    "API_KEY_SECRET": "key",
    "EVENT_RETENTION_DAYS": "90",
    "DEFAULT_REGION": "US",
    "ALLOWED_COUNTRY_CODES": "",
    "MAX_CALLS_PER_SECOND": "100000",
    "MAX_CALLS_PER_MINUTE": "1000000",
    "MAX_CALLS_PER_DAY": "100000000",
    "PRIORITY_SHARE": "20",
}
LAMBDA = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",  # what is deployed is read-only
}


@dataclass(frozen=True, slots=True)
class Artefact:
    """The folder that `sam build` wrote."""

    build: Path

    def path(self, verb: str | None = None) -> list[Path]:
        """Where a function's modules come from: its own folder, then the layers."""
        own = [self.build / f"{verb.capitalize()}Function"] if verb else []
        return [*own, *(self.build / layer / "python" for layer in LAYERS)]

    def zipped(self, name: str) -> int:
        """Bytes of a layer or function, zipped as `sam deploy` does it."""
        folder, held = self.build / name, io.BytesIO()
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder))
        return len(held.getvalue())


def build() -> Artefact:
    """Runs `sam build`, cached. Raises LocalError with the end of its log when it fails."""
    from local.stack import build  # noqa: PLC0415 - only where the whole is run

    return Artefact(build().parent)


def stock_path(artefact: Artefact) -> list[Path]:
    """Return where a floor's imports come from: the layer's packages as pip installs them.

    Not the development environment: what its other packages bring is imported as well, such as
    cryptography by urllib3, and makes a floor look slow.
    """
    installed = STOCK / REQUIREMENTS.name
    if not installed.exists() or installed.read_bytes() != REQUIREMENTS.read_bytes():
        shutil.rmtree(STOCK, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(STOCK), "-r", str(REQUIREMENTS)], check=True)
        shutil.copy(REQUIREMENTS, installed)
    return [STOCK, *artefact.path()[1:]]


def fresh(arguments: list[str], path: list[Path], environment: dict[str, str] | None = None) -> str:
    """Runs a fresh interpreter on `path` alone; what it printed.

    Raises RuntimeError with its errors if it fails.
    """
    # -S: no site-packages; -P: not the script's own folder.
    done = subprocess.run(
        [PYTHON, "-S", "-P", *arguments],
        env={
            **LAMBDA,
            **SETTINGS,
            **(environment or {}),
            "PYTHONPATH": os.pathsep.join(map(str, path)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


class Timed(NamedTuple):
    """CPU seconds of an item, and bytes that were logged for it."""

    seconds: float
    logged: float


def timed(name: str, path: list[Path], url: str, *arguments: str) -> Timed:
    """An item's costs, as bench/timed/{name}.py measures them in a fresh process."""
    logged, (seconds, items) = measured(name, path, url, *arguments)
    return Timed(seconds, len(logged.encode()) / items)


def measured(name: str, path: list[Path], url: str, *arguments: str) -> tuple[str, Any]:
    """What bench/timed/{name}.py prints in a fresh process: what it logs, and its last line."""
    services = ("DYNAMODB", "SECRETS_MANAGER", "SNS", "SQS")
    environment = {f"AWS_ENDPOINT_URL_{service}": url for service in services} | {
        "SKYCORE_URL": f"{url}/skycore",
        "EVENT_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:events",
        **{
            f"{queue}_QUEUE_URL": f"{url}/123456789012/{queue.lower()}"
            for queue in ("POSTBACK", "SEND", "SEND_DEAD_LETTER", "PUBLISH_RETRY")
        },
    }
    printed = fresh([str(TIMED / f"{name}.py"), *arguments], [*path, ROOT], environment)
    logged, _, told = printed.rstrip().rpartition("\n")
    return logged, json.loads(told)
