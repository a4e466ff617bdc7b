"""Run the simulator with the page of the local stack: python -m local.page. `make up` does."""

from __future__ import annotations

import sys
from pathlib import Path

from local.page.extension import StackColumn
from skycore_simulator.command_line import build_parser, build_server, serve


def main() -> int:
    """Return 0 after a stop, 1 if it cannot listen, 2 for invalid options."""
    parser = build_parser("python -m local.page")
    parser.add_argument("--stack-file", type=Path, required=True, help="the file make up writes")
    options = parser.parse_args()
    return serve(build_server(parser, options, StackColumn(options.stack_file)))


if __name__ == "__main__":
    sys.exit(main())
