"""The operator's tool: `python -m ops --help`. It works with the AWS login of who runs it."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# A checkout is all that it needs: the domain package is not installed, it is a layer.
sys.path.insert(0, str(ROOT / "layers" / "skycore"))
