"""Where secrets are looked for. No text made here holds a value (I26)."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from guardd.config.dotenv import read_dotenv
from guardd.config.settings import (
    TOKEN_VARIABLE,
    AccountSettings,
    HeartbeatSettings,
    NotifySettings,
    Settings,
    is_loopback,
)
from guardd.errors import CredentialsError

TOKEN_LENGTH_MIN: Final = 8
"""A shorter part of an address is a word or a number, and masking it would garble the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What proves who we are. The text of this object carries none of it (I26)."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    phrase: str = field(repr=False)
    """BitMart's memo, Bitget's passphrase."""


class Secrets:
    """Where secrets are looked for: `$CREDENTIALS_DIRECTORY`, `secrets_dir`, the environment, `.env`, in this order."""

    def __init__(
        self, *, directories: Sequence[Path] = (), environ: Mapping[str, str] | None = None, dotenv: Path | None = None
    ) -> None:
        self._directories = tuple(directories)
        self._variables = {**read_dotenv(dotenv), **(environ or {})}
        self._loaded: set[str] = set()
        self._watchers: list[Callable[[Iterable[str]], None]] = []

    @classmethod
    def of(
        cls, settings: Settings, *, environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")
    ) -> Self:
        """The places that these settings name."""
        variables = environ if environ is not None else os.environ
        given = variables.get("CREDENTIALS_DIRECTORY")
        directories = [Path(given)] if given else []
        if settings.secrets_dir is not None:
            directories.append(settings.secrets_dir)
        return cls(directories=directories, environ=variables, dotenv=dotenv)

    def __repr__(self) -> str:
        return f"Secrets({len(self._loaded)} loaded)"

    @property
    def loaded(self) -> frozenset[str]:
        """Every value that was handed out: what the log's redaction looks for."""
        return frozenset(self._loaded)

    def watch(self, learn: Callable[[Iterable[str]], None]) -> None:
        """Tell `learn` (a redactor's) every value that was handed out, and each further one before it is handed out."""
        self._watchers.append(learn)
        learn(self._loaded)

    def find(self, name: str) -> str | None:
        """The secret of that name; an empty one counts as missing. Raises `CredentialsError` for a file that can't be read."""
        return self._keep(self._in_files(name) or self._variables.get(name))

    def credentials(self, account: AccountSettings) -> Credentials:
        """Raises `CredentialsError` (exit 77) naming every variable that is missing, and the places looked at."""
        names = account.credential_names
        found = [self.find(name) for name in names]
        missing = [name for name, value in zip(names, found, strict=True) if value is None]
        if missing:
            raise CredentialsError(f"account {account.name}: {', '.join(missing)} missing; looked in {self._places()}")
        key, secret, phrase = (value or "" for value in found)
        return Credentials(key=key, secret=secret, phrase=phrase)

    def notify_url(self, settings: NotifySettings) -> str:
        """Where its messages go. Raises `CredentialsError` naming what is missing."""
        return self._address(settings.url, "notify")

    def heartbeat_url(self, settings: HeartbeatSettings) -> str:
        """What is asked while all is seen. Raises `CredentialsError` naming what is missing, or what is no http(s) address."""
        url = self._address(settings.url, "heartbeat")
        if urlsplit(url).scheme not in ("http", "https"):
            raise CredentialsError(f"heartbeat: {settings.url} holds no http(s) address")
        return url

    def _address(self, kept: str, what: str) -> str:
        """The address behind `env:NAME` or `secret:NAME`; the tokens in it are secrets by themselves too."""
        place, _, name = kept.partition(":")
        value = self._keep(self._variables.get(name) if place == "env" else self._in_files(name))
        if value is None:
            where = (
                "the environment and .env" if place == "env" else self._file_places() or "no secrets directory is set"
            )
            raise CredentialsError(f"{what}: {name} missing; looked in {where}")
        for part in _tokens_in(value):
            self._keep(part)
        return value

    def http_token(self, settings: Settings) -> str | None:
        """The bearer token of the API: `GUARDD_HTTP__TOKEN`, from a secret file or the settings."""
        given = settings.http.token
        return self.find(TOKEN_VARIABLE) or self._keep(given.get_secret_value() if given is not None else None)

    def _keep(self, value: str | None) -> str | None:
        if not value:
            return None
        if value not in self._loaded:
            self._loaded.add(value)
            for learn in self._watchers:
                learn((value,))
        return value

    def _in_files(self, name: str) -> str | None:
        for directory in self._directories:
            try:
                text = (directory / name).read_text(encoding="utf-8").rstrip("\r\n")
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError) as error:
                raise CredentialsError(f"{directory / name}: can't be read ({type(error).__name__})") from None
            if text:
                return text
        return None

    def _file_places(self) -> str:
        return ", ".join(str(directory) for directory in self._directories)

    def _places(self) -> str:
        return ", ".join(part for part in (self._file_places(), "the environment", ".env") if part)


def _tokens_in(address: str) -> list[str]:
    """Parts of an address that may be secrets: a library that names a path or a user shows them without the rest."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return []
    found = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query)), parts.password or ""]
    user, _, host = parts.netloc.rpartition("@")
    found += [user, parts.username or ""]
    if "." not in host and not is_loopback(parts.hostname or ""):
        found.append(host)  # Apprise's addresses have tokens in the host's place
    both = {form for part in found for form in (part, unquote(part))}
    return sorted(each for each in both if _looks_like_a_token(each))


def _looks_like_a_token(part: str) -> bool:
    """Words of a path (`webhooks`, `services`) have no digits and aren't long."""
    return len(part) >= TOKEN_LENGTH_MIN and (
        any(letter.isdigit() for letter in part) or len(part) >= 2 * TOKEN_LENGTH_MIN
    )
