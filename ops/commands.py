"""The one table of commands, in the order of --help."""

from ops import (
    changes,
    dlq,
    export,
    key,
    messages,
    person,
    reconcile,
    replay,
    resolve,
    restore,
    resume,
    send_test,
    status,
    suppress,
    tail,
    token,
    unparsed,
)
from ops.command import Command
from ops.doctor import command as doctor

COMMANDS: tuple[Command, ...] = (
    # looking
    status.COMMAND,
    doctor.COMMAND,
    tail.COMMAND,
    *messages.COMMANDS,
    unparsed.COMMAND,
    changes.COMMAND,
    # doing
    dlq.COMMAND,
    replay.COMMAND,
    reconcile.COMMAND,
    suppress.COMMAND,
    person.COMMAND,
    resume.COMMAND,
    resolve.COMMAND,
    send_test.COMMAND,
    export.COMMAND,
    restore.COMMAND,
    # secrets
    key.COMMAND,
    *token.COMMANDS,
)
