"""Runs the simulator together with the page: python -m local.page. `make up` does."""

from __future__ import annotations

import sys
from pathlib import Path

from local.page.page import Page
from local.simulator.__main__ import arguments, serve, server_from


def main() -> int:
    """0 after a stop, 1 when it could not listen, 2 for a wrong command line."""
    parser = arguments()
    parser.prog = "python -m local.page"
    parser.add_argument("--stack-file", type=Path, required=True, help="what make up writes")
    given = vars(parser.parse_args())
    stack_file = given.pop("stack_file")
    server = server_from(parser, given)
    server.extend = Page(server, stack_file).extend
    return serve(server)


if __name__ == "__main__":
    sys.exit(main())
