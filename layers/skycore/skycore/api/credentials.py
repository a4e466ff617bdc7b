"""What proves to Skycore who is calling."""

from dataclasses import dataclass, field
from hashlib import md5


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key, or the older user and password; some accounts and actions want both.

    The password stays here: Skycore is given its MD5 digest, as its docs demand.
    """

    api_key: str | None = field(default=None, repr=False)
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def usable(self) -> bool:
        """Whether there is an API key, or a user with a password."""
        return bool(self.api_key) or bool(self.user and self.password)

    @property
    def elements(self) -> dict[str, str]:
        """The elements of a request that carry the credentials; secret."""
        elements = {}
        if self.api_key:
            elements["API_KEY"] = self.api_key
        if self.user and self.password:
            elements["USER"] = self.user
        if self.password:
            digest = md5(self.password.encode(), usedforsecurity=False)
            elements["PASS"] = digest.hexdigest()
        return elements
