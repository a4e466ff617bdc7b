"""The command `skycore-simulator`: parse the options, start the server, serve until stopped."""

import argparse
import asyncio
import errno
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from skycore_simulator import __version__
from skycore_simulator.api_port import ApiPort
from skycore_simulator.page.extension import PageExtension
from skycore_simulator.server import Server
from skycore_simulator.settings import InvalidSettingError, Settings
from skycore_simulator.simulator import Simulator

SETTINGS = (  # options that are settings of the same name
    "api_key",
    "user",
    "password",
    "postback_url",
    "postback_delay",
    "retry_seconds",
    "reply_content_type",
    "max_per_second",
    "max_per_minute",
    "max_per_day",
)


def build_parser(prog: str = "skycore-simulator") -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Simulate Skycore's Messaging API on this computer: answer requests in "
        "Skycore's XML and send the postbacks that Skycore would send.",
        epilog="Point your Skycore client at http://127.0.0.1:8085/API/wxml/1.3/index.php and "
        "open http://127.0.0.1:8085/ in a browser to see phones and traffic. Change any setting "
        "while it runs with PATCH /_control/settings. The README lists the settings, the magic "
        "numbers and the faults.",
    )
    defaults = Settings()
    add = parser.add_argument
    add("--version", action="version", version=f"skycore-simulator {__version__}")
    add("--port", type=int, default=8085, help="listen on this port; 0: any free one (8085)")
    add("--host", default="127.0.0.1", help="listen on this address (127.0.0.1)")
    add("--api-key", help="accept only this API key (default: any key)")
    add("--user", help="accept this user name, the older way to sign in")
    add("--password", help="password of that user; requests carry its MD5 digest in PASS")
    add("--postback-url", help="send postbacks to this URL (default: none are sent)")
    add(
        "--postback-delay", type=float, metavar="SECONDS", default=defaults.postback_delay,
        help="wait before each postback of a message (%(default)s)",
    )  # fmt: skip
    add(
        "--retry-seconds", type=float, metavar="SECONDS", default=defaults.retry_seconds,
        help="wait before a failed postback is sent again; Skycore waits 300 (%(default)s)",
    )  # fmt: skip
    add(
        "--reply-content-type", metavar="TYPE", default=defaults.reply_content_type,
        help="label replies with this type, such as 'text/xml; charset=utf-8' (%(default)s)",
    )  # fmt: skip
    for window, code in (("second", "E106"), ("minute", "E113"), ("day", "E120")):
        add(
            f"--max-per-{window}", type=int, metavar="CALLS", default=0,
            help=f"answer {code} to more calls per {window} than this (default: no limit)",
        )  # fmt: skip
    add(
        "--no-page", dest="page", action="store_false",
        help="serve no page, only the API and the control routes",
    )  # fmt: skip
    add(
        "--api-port", type=int, metavar="PORT",
        help="also answer the API on this port (0: any free one), which can be closed and opened "
        "while everything else keeps running: PATCH /_control/line",
    )  # fmt: skip
    add("--log-file", type=Path, help="append one line per request to this file")
    return parser


def build_server(
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    extension: PageExtension | None = None,
) -> Server:
    """Return a server that does not listen yet; exit with status 2 for invalid options."""
    changes = {name: getattr(options, name) for name in SETTINGS}
    try:
        settings = Settings().changed({n: v for n, v in changes.items() if v is not None})
    except InvalidSettingError as error:
        parser.error(str(error))
    for option, port in (("--port", options.port), ("--api-port", options.api_port or 0)):
        if not 0 <= port <= 65535:
            parser.error(f"{option} must be between 0 and 65535")
    if options.log_file is not None:
        try:
            # A new file is for this user alone: it holds numbers and texts.
            os.close(os.open(options.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        except OSError as error:
            parser.error(f"--log-file {options.log_file}: {error.strerror}")
    try:
        api_port = None if options.api_port is None else ApiPort(options.host, options.api_port)
    except OSError as error:
        parser.error(f"--api-port {options.api_port}: {error.strerror}")
    return Server(
        Simulator(settings),
        options.host,
        options.port,
        log=options.log_file,
        api_port=api_port,
        page=options.page,
        extension=extension,
    )


async def _run(server: Server) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await server.start()
    print(f"skycore simulator on {server.url}", flush=True)
    await stopped.wait()
    await server.stop()


def serve(server: Server) -> int:
    """Serve until SIGTERM or Ctrl-C. Return 0, or 1 if the server cannot listen."""
    try:
        asyncio.run(_run(server))
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        reason = "it is in use; choose another with --port" if in_use else error.strerror
        print(f"cannot listen on {server.host} port {server.port}: {reason}", file=sys.stderr)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Return 0 after a stop, 1 if it cannot listen, 2 for invalid options."""
    parser = build_parser()
    return serve(build_server(parser, parser.parse_args(arguments)))
