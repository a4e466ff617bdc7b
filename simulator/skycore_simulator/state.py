"""The account's data: templates, campaigns, subscribers, passes, users. In memory only."""

import base64
import hashlib
import itertools
import secrets
import string
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from skycore_simulator.tables import table


@dataclass
class Template:
    """A stored MMS, usable from ready_at (monotonic seconds) unless its media are ruined."""

    id: str
    name: str
    subject: str
    slides: list[dict[str, Any]]
    ready_at: float = 0.0
    ruined: bool = False
    barcode: bool = False
    pass_template: str | None = None
    fallback: dict[str, str] = field(default_factory=dict)
    created: float = field(default_factory=time.time)

    @property
    def ready(self) -> bool:
        """Whether its audio and video are encoded."""
        return time.monotonic() >= self.ready_at


@dataclass
class Campaign:
    """A campaign for numbers; subscribers map a number to its SUBSCRIBERREF."""

    id: str
    ref: str
    title: str
    brand: str
    shortcode: str
    subscribers: dict[str, str] = field(default_factory=dict)


@dataclass
class EmailCampaign:
    """A campaign for addresses."""

    id: str
    name: str
    brand: str
    address: str
    subscribers: set[str] = field(default_factory=set)


@dataclass
class PassData:
    """Stored data of one pass."""

    id: str
    template: str
    values: dict[str, str]


class State:
    """Everything that requests create, change and delete. New ids differ from run to run."""

    def __init__(self, seeded: bool = True) -> None:
        self._numbers = itertools.count(int(time.time() * 1000) % 10**10)
        self.templates: dict[str, Template] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.email_campaigns: dict[str, EmailCampaign] = {}
        self.email_templates: dict[str, dict[str, Any]] = {}
        self.pass_templates: dict[str, dict[str, Any]] = {}
        self.pass_data: dict[str, PassData] = {}
        self.inbox: dict[str, list[str]] = {}  # id of an inbound MMS → its files
        self.media: dict[str, tuple[str, bytes]] = {}  # path → content type, bytes
        self.users: dict[str, tuple[str, str]] = {}  # name → password digest, API key
        self.reports: dict[str, str] = {}
        self.last_report = float("-inf")
        self.opted_out: set[str] = set()
        self.email_opted_out: set[str] = set()
        self.profiles: dict[str, dict[str, str]] = defaultdict(dict)
        self.known_handsets: set[str] = set()
        self.refused_once: set[str] = set()
        self.redirects_followed = 0
        if seeded:
            self._seed(table("seed"))

    def _seed(self, seed: dict[str, Any]) -> None:
        self.templates = {t["id"]: Template(**t) for t in seed["templates"]}
        self.campaigns = {c["id"]: Campaign(**c) for c in seed["mms_campaigns"]}
        for row in seed["subscribers"]:
            self.campaigns[row["campaign"]].subscribers[row["mobile"]] = row["ref"]
        self.email_campaigns = {c["id"]: EmailCampaign(**c) for c in seed["email_campaigns"]}
        for row in seed["email_subscribers"]:
            self.email_campaigns[row["campaign"]].subscribers.add(row["email"])
        self.email_templates = {t["id"]: t for t in seed["email_templates"]}
        self.pass_templates = {t["id"]: t for t in seed["pass_templates"]}
        self.pass_data = {p["id"]: PassData(p["id"], p["template"], {}) for p in seed["pass_data"]}
        self.inbox = {row["id"]: ["text.txt"] for row in seed["inbox"]}

    def campaign(self, reference: str) -> Campaign | None:
        """Return the campaign with this id or, as in newer documents, this reference."""
        by_ref = (c for c in self.campaigns.values() if c.ref == reference)
        return self.campaigns.get(reference) or next(by_ref, None)

    def new_id(self) -> str:
        """Return a new number, for MMSIDs, campaigns and the like."""
        return str(next(self._numbers))

    def new_tracking_id(self, prefix: str, plain: bool = False) -> str:
        """Return SMS_… or MMS_… with a new number, in base64 unless `plain`: Skycore uses both."""
        text = f"{prefix}_{self.new_id()}"
        return text if plain else base64.b64encode(text.encode()).decode()


def md5_hex(password: str) -> str:
    """Return the MD5 of a password in hexadecimal, as Skycore expects it."""
    return hashlib.md5(password.encode(), usedforsecurity=False).hexdigest()


def random_text(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Return `count` random letters and digits."""
    return "".join(secrets.choice(alphabet) for _ in range(count))
