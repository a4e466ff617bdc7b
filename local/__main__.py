"""`python -m local up|down|run`: what make up, make down and make run do."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import Any

from local import emulator, simulator_process, stack
from local.paths import STACK_FILE, LocalError
from local.screen import Screen
from ops.terminal import show_exception


def up(screen: Screen, skycore_url: str, parameters: str) -> dict[str, Any]:
    """Brings the stack up, or updates it, and returns what .local/stack.json holds."""
    chosen = stack.parse_parameters(parameters)
    was_up = emulator.is_running()
    try:
        return _up(screen, skycore_url, chosen)
    except BaseException:
        if not was_up:
            down()
        raise


def _up(screen: Screen, skycore_url: str, chosen: dict[str, str]) -> dict[str, Any]:
    with screen.step("start the AWS emulator"):
        emulator.start()
    with screen.step("start the Skycore simulator"):
        simulator_process.start()
    with screen.step("sam build (the first time takes a minute)"):
        template = stack.build()
    with screen.step("sam deploy"):
        made = stack.deploy(template, chosen, skycore_url or simulator_process.api_url())
    simulator_process.settings(postback_url=made["postback_url"])
    return made


def down() -> None:
    """Stops what `up` started; quiet when nothing runs."""
    simulator_process.stop()
    emulator.stop()
    STACK_FILE.unlink(missing_ok=True)


def run(screen: Screen, parameters: str) -> int:
    """Run the demo: bring the stack up, show the main job, and bring it down in any case."""
    from local import demo  # noqa: PLC0415 - only this command needs it

    if os.environ.get("SKYCORE_URL"):
        raise LocalError("make run needs the simulator's handset; SKYCORE_URL is for make up")
    if STACK_FILE.exists() and emulator.is_running():
        raise LocalError("the stack is already up; make down first, then make run")
    try:
        made = up(screen, "", parameters)
        demo.run(screen, made)
    except Exception:
        demo.keep_logs()
        raise
    finally:
        with screen.step("stop everything"):
            down()
    return 0


def main() -> int:
    """Reads the command line; exit code 0 only if all of it happened."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "run"])
    arguments = parser.parse_args()
    screen = Screen()
    signal.signal(signal.SIGTERM, _interrupt)
    sys.excepthook = show_exception
    parameters = os.environ.get("PARAMETERS", "")
    try:
        if arguments.command == "up":
            made = up(screen, os.environ.get("SKYCORE_URL", ""), parameters)
            screen.say("The stack is up. Watch it and play with it in your browser:\n")
            screen.say(f"  {made['simulator_url']}\n")
            screen.say(
                f"Addresses and keys for programs are in {STACK_FILE}. Stop it with make down."
            )
        elif arguments.command == "down":
            down()
        else:
            return run(screen, parameters)
    except LocalError as error:
        screen.fail(str(error))
        return 1
    except KeyboardInterrupt:
        screen.fail("interrupted")
        return 130
    return 0


def _interrupt(_number: int, _frame: object) -> None:
    """SIGTERM stops everything, as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
