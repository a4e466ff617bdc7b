"""The operator's tool, as `python -m ops COMMAND`: the command line, and how errors are shown."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)
from pynamodb.exceptions import PynamoDBException

from ops.commands import COMMANDS
from ops.login import LOG_IN, is_invalid_login
from ops.output import (
    DONE,
    INTERRUPTED,
    PROBLEMS,
    USAGE_ERROR,
    Refused,
    Result,
    UsageError,
    print_result,
    progress,
)
from ops.stack import resolve_stack
from ops.terminal import clean_lines, show_exception
from skycore.logs import log
from skycore.table.audit import record_change

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ops.command import Command
    from ops.stack import Stack

ABOUT = """\
Inspect and operate a deployed stack of Skycore on AWS.

Without options it works on the local stack (make up), with --stack NAME on AWS. There it uses your
AWS login and region, found as the AWS CLI finds them (AWS_PROFILE, AWS_REGION), and honours
AWS_ENDPOINT_URL. docs/operations.md lists the permissions that your login needs.
"""
RULES = """\
Commands that change a --stack ask for confirmation. --yes skips it; without a terminal, --yes is
required. Message texts and full numbers are shown only with --show, where a command has it.

exit codes: 0 success; 1 refused, failed, or problems were found; 2 usage error; 130 Ctrl-C
python -m ops COMMAND --help has details and examples.
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    args = _parser().parse_args(arguments)
    try:
        result = _run(resolve_stack(args), args)
    except Refused as refusal:
        return _failed(str(refusal), args, refusal.code)
    except UsageError as refusal:
        return _failed(str(refusal), args, USAGE_ERROR)
    except (ClientError, BotoCoreError, PynamoDBException) as error:
        return _failed(_plainly(error), args, PROBLEMS)
    except (RuntimeError, TimeoutError) as error:  # of the domain: what is left, and what to do
        return _failed(str(error), args, PROBLEMS)
    except EOFError:  # Ctrl-D at a question
        return _failed("Nothing was changed.", args, PROBLEMS)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as head, has seen enough
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    if result is None:
        return DONE
    print_result(result, as_json=args.json)
    return DONE if result.ok else PROBLEMS


def _run(stack: Stack, args: argparse.Namespace) -> Result | None:
    """Run the command, and record who did it if it was confirmed, even if it failed midway."""
    try:
        result: Result | None = args.run(stack, args)
        return result
    finally:
        if getattr(args, "confirmed", False):
            subject = getattr(args, "subject", "")  # never a number
            change = f"ops {args.command} {subject}".rstrip()
            try:
                record_change(change, stack.identity, days=stack.days)
            except (ClientError, BotoCoreError, PynamoDBException) as error:
                progress(f"Who did this could not be recorded: {_plainly(error)}")


def run_and_exit(*before: str) -> NoReturn:
    """Run with the arguments `before` and those of the command line, and exit."""
    # The domain's log lines are no part of an answer: warnings, and on stderr.
    log.setLevel("WARNING")
    for handler in log.handlers:
        handler.setStream(_CleanStderr())  # type: ignore[attr-defined]
    sys.excepthook = show_exception
    for ending in (signal.SIGINT, signal.SIGTERM):  # what a command set up, it takes down
        signal.signal(ending, _interrupt)
    sys.exit(main([*before, *sys.argv[1:]]))


class _CleanStderr:
    """A stream that cleans log lines, which may quote other people's ids."""

    def write(self, text: str) -> None:
        sys.stderr.write(clean_lines(text))

    def flush(self) -> None:
        sys.stderr.flush()


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _failed(why: str, args: argparse.Namespace, code: int) -> int:
    if args.json:
        print_result(Result({"error": why}, []), as_json=True)
    else:
        progress(why)
    return code


def _plainly(error: Exception) -> str:
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return "no AWS login found: log in as for the AWS CLI (AWS_PROFILE), or pass --local"
    if isinstance(error, NoRegionError):
        return "no AWS region is set: set AWS_REGION, for example to us-east-1"
    if isinstance(error, PynamoDBException) and isinstance(error.cause, ClientError):
        error = error.cause
    if is_invalid_login(error):
        return LOG_IN
    if isinstance(error, ClientError):
        answer = error.response["Error"]
        return f"AWS refused {error.operation_name}: {answer['Code']}: {answer.get('Message', '')}"
    return f"AWS: {error}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ops",
        description=ABOUT,
        epilog=RULES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _common(parser, first=True)
    _add(parser, COMMANDS)
    return parser


def _add(parser: argparse.ArgumentParser, commands: Iterable[Command], within: str = "") -> None:
    below = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for command in commands:
        one = below.add_parser(
            command.name,
            help=command.summary,
            description=f"{command.summary}.\n\n{command.about}".rstrip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if command.parts:
            _add(one, command.parts, f"{command.name} ")
            continue
        command.arguments(one)
        _common(one, first=False)
        one.set_defaults(run=command.run, command=within + command.name)


def _common(parser: argparse.ArgumentParser, *, first: bool) -> None:
    """The options of every command, which may stand before it or behind it."""
    none: Any = argparse.SUPPRESS  # behind the command, what is not given must not undo
    group = parser.add_argument_group("options of every command")
    group.add_argument(
        "--stack", metavar="NAME", default=None if first else none, help="a stack on AWS"
    )
    flags = {
        "--local": "the local stack of make up, the default",
        "--json": "print the answer as JSON",
        "--yes": "do not ask for confirmation",
    }
    for flag, what in flags.items():
        group.add_argument(flag, action="store_true", default=False if first else none, help=what)


if __name__ == "__main__":
    run_and_exit()
