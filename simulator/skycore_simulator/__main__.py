"""Runs the simulator from the command line: python -m local.simulator."""

import argparse
import asyncio
import errno
import signal
import sys
from pathlib import Path
from typing import Any

from local.simulator.line import Line
from local.simulator.server import Server
from local.simulator.settings import BadSettingError, Settings
from local.simulator.simulator import Simulator


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m local.simulator",
        description="Stands in for Skycore's Messaging API on this computer: answers requests in "
        "Skycore's XML and sends the postbacks that Skycore would send.",
        epilog="Point your Skycore client at http://127.0.0.1:8085/index.php and your browser at "
        "http://127.0.0.1:8085/. Every setting can be changed while it runs; "
        "local/simulator/README.md lists them, with the magic numbers that make things go wrong.",
    )
    defaults = Settings()
    add = parser.add_argument
    add("--port", type=int, default=8085, help="port to listen on (default 8085)")
    add("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    add("--api-key", help="the only API key that is accepted (default: any key)")
    add("--user", help="user name of the older way to sign in")
    add("--password", help="password of that user; requests carry its MD5 digest in PASS")
    add("--postback-url", help="where postbacks go (default: nowhere until it is set)")
    add(
        "--postback-delay", type=float, metavar="SECONDS", default=defaults.postback_delay,
        help="wait before each postback of a message (default %(default)s)",
    )  # fmt: skip
    add(
        "--retry-seconds", type=float, metavar="SECONDS", default=defaults.retry_seconds,
        help="wait before a postback is tried again; Skycore waits 300 (default %(default)s)",
    )  # fmt: skip
    for window, code in (("second", "E106"), ("minute", "E113"), ("day", "E120")):
        add(
            f"--max-per-{window}", type=int, metavar="CALLS", default=0,
            help=f"calls per {window} that the account may make, over it {code} (default: any)",
        )  # fmt: skip
    add(
        "--line-port", type=int, metavar="PORT",
        help="answer on this port too (0: a free one), which PATCH /_control/line can cut",
    )  # fmt: skip
    add("--log-file", type=Path, help="write one line for each request to this file")
    return parser


async def run(server: Server) -> None:
    """Serves until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await server.start()
    print(f"skycore simulator on {server.url}", flush=True)
    await stopped.wait()
    await server.stop()


def server_from(parser: argparse.ArgumentParser, given: dict[str, Any]) -> Server:
    """A server as the command line has it, not yet listening; takes what it uses from `given`."""
    host, port, log = given.pop("host"), given.pop("port"), given.pop("log_file")
    line_port = given.pop("line_port")
    try:
        settings = Settings().changed({name: v for name, v in given.items() if v is not None})
    except BadSettingError as error:
        parser.error(str(error))
    for option, number in (("--port", port), ("--line-port", line_port or 0)):
        if not 0 <= number <= 65535:
            parser.error(f"{option} must be from 0 to 65535; 0 chooses a free one")
    if log is not None:
        try:
            log.open("a").close()
        except OSError as error:
            parser.error(f"--log-file {log}: {error.strerror}")
    line = None if line_port is None else Line(host, line_port)
    return Server(Simulator(settings), host, port, log, line)


def serve(server: Server) -> int:
    """0 after a stop, 1 when it could not listen."""
    try:
        asyncio.run(run(server))
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "it is taken; choose another with --port" if taken else error.strerror
        print(f"cannot listen on {server.host} port {server.port}: {reason}", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    """0 after a stop, 1 when it could not listen, 2 for a wrong command line."""
    parser = arguments()
    return serve(server_from(parser, vars(parser.parse_args())))


if __name__ == "__main__":
    sys.exit(main())
