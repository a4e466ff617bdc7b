"""One execution environment of a function: events come as lines of JSON, answers go the same way.

Run as a program, with the path of app.py. What the function prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path


def main(folder: str) -> None:
    """Answer each event until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, folder)
    from app import handler  # which function's, argv says

    for line in sys.stdin:
        try:
            answer = {"answer": handler(json.loads(line), None)}
        except Exception:  # noqa: BLE001 - Lambda reports it as the function's error, too
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).parent))
