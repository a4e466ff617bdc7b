"""One Skycore account: answers calls and sends the postbacks that follow."""

import importlib
import pkgutil
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from skycore_simulator import actions, checks, magic
from skycore_simulator.delivery import PostbackSender
from skycore_simulator.journal import Journal, Message, Request
from skycore_simulator.limits import Limits
from skycore_simulator.notifications import Notification
from skycore_simulator.replies import Element, RefusalError, refused, render
from skycore_simulator.report import build_report
from skycore_simulator.request_parser import Call, parse_fields
from skycore_simulator.settings import Settings
from skycore_simulator.state import State, md5_hex
from skycore_simulator.tables import table

type Handler = Callable[["Simulator", Call], list[Element]]


class Simulator:
    """One account with its settings, data, limits, journal and postbacks."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.journal = Journal()
        self.postback_sender = PostbackSender(self.journal)
        self._random: random.Random = (
            random.SystemRandom()
        )  # independent of a seed that a test sets
        self.settings = settings or Settings()
        self.api_url = ""  # where clients call the API; a report must be at the same origin
        self.base_url = ""
        self.reset()

    @property
    def settings(self) -> Settings:
        """The current settings."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        settings.check()
        self._settings = settings
        self.postback_sender.settings = settings

    def reset(self, seeded: bool = True) -> None:
        """Forget messages, requests, postbacks and counts; restore the seed data if `seeded`."""
        self.state = State(seeded)
        self.limits = Limits()
        self.journal.clear()

    def mode(self, call: Call) -> str:
        """Return the connection mode of this call."""
        mode = magic.mode_in(call) or self.settings.mode
        if mode != "normal":
            return mode
        return next(self._random_faults(kind="mode"), "normal")

    def _random_faults(self, kind: str) -> Iterator[str]:
        """Yield the random faults of this request, modes or error codes."""
        for name, percent in self.settings.faults.items():
            is_code = name not in table("modes")
            if is_code == (kind == "code") and self._random.random() * 100 < percent:
                yield name

    def understand(self, call: Call) -> str | None:
        """Parse the fields of the call; return the error code if they cannot be parsed."""
        try:
            parse_fields(call)
        except RefusalError as refusal:
            return refusal.code
        return None

    def answer(self, call: Call, entry: Request, unreadable: str | None = None) -> str:
        """Perform the call and return the XML of the reply."""
        try:
            handler = self._admit(call, unreadable)
            checks.mandatory(call)
            elements = handler(self, call)
            self.limits.accept(call.action or "")
            entry.tracking_id = next((str(v) for name, v in elements if name == "TRACKINGID"), "")
        except RefusalError as refusal:
            entry.code = refusal.code
            self.limits.refusals[refusal.code] += 1
            elements = refused(refusal)
        return render("RESPONSE", elements)

    def _admit(self, call: Call, unreadable: str | None) -> Handler:
        if unreadable:
            raise RefusalError(unreadable)
        if call.action is None:
            if not (call.asked or call.credentials or call.fields):
                raise RefusalError("E100")
            raise RefusalError("E101")
        self._authenticate(call)
        self.limits.take(self.settings, call.action)
        code = self._requested_error(call)
        if code:
            raise RefusalError(code, 1, checks.echo(call))
        return handlers()[call.action]

    def _requested_error(self, call: Call) -> str | None:
        settings = self.settings
        if settings.next_errors:
            return settings.next_errors.pop(0)
        for action in (call.action or "", "*"):
            if action in settings.error_for_action:
                return settings.error_for_action[action]
        if code := next(self._random_faults(kind="code"), None):
            return code
        values = call.values()
        if code := magic.error_in(values):
            return code
        once = magic.first_error_in(values)
        if once and once[0] not in self.state.refused_once:
            self.state.refused_once.add(once[0])
            return once[1]
        return None

    def _authenticate(self, call: Call) -> None:
        given = call.credentials
        key, user, digest = given.get("API_KEY"), given.get("USER"), given.get("PASS")
        if not key and not user:
            raise RefusalError("E102")
        if key:
            own = [api_key for _, api_key in self.state.users.values()]
            known = self.settings.api_key is None or key in (self.settings.api_key, *own)
            if not (known or magic.error_in([key])):
                raise RefusalError("E104")
        if not key and not digest:
            raise RefusalError("E103")
        if user and digest and not self._password_fits(user, digest):
            raise RefusalError("E104")
        if self.settings.require_md5_password:
            self._check_password(digest)

    def _check_password(self, digest: str | None) -> None:
        if not digest:
            raise RefusalError("E103")
        password = self.settings.password
        if password is not None and digest.lower() != md5_hex(password):
            raise RefusalError("E104")

    def _password_fits(self, user: str, digest: str) -> bool:
        if user in self.state.users:
            return self.state.users[user][0] == digest.lower()
        if self.settings.user is None or self.settings.password is None:
            return False
        return user == self.settings.user and digest.lower() == md5_hex(self.settings.password)

    def report(self, messages: list[Message]) -> str:
        """Return a report on these messages in the form of the settings."""
        return build_report(messages, self.state, self.settings.report_form)

    def notify(self, *notifications: Notification, after: float = 0.0) -> None:
        """Send postbacks in the background, the first one after `after` seconds."""
        if notifications:
            self.postback_sender.send(notifications, after)


@cache
def handlers() -> dict[str, Handler]:
    """Return the function of each action, from the modules of the actions package."""
    found: dict[str, Any] = {}
    for module in pkgutil.iter_modules(actions.__path__):
        found.update(importlib.import_module(f"{actions.__name__}.{module.name}").HANDLERS)
    return found
