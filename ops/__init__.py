"""The operator's tool: `python -m ops --help`. It uses the AWS login of the person who runs it."""

import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Without the project's packages the first import would end in a traceback.
_missing = [
    name for name in ("boto3", "pynamodb", "requests", "rich", "yaml") if not find_spec(name)
]
if _missing or sys.version_info < (3, 13):
    sys.exit(
        "ops needs the project's own Python, which make setup installs: .venv/bin/python -m ops"
    )

# A checkout is all that it needs: the domain package is not installed, it is a layer.
sys.path.insert(0, str(ROOT / "layers" / "skycore"))
