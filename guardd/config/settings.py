"""What can be set: every key of the YAML file as a type, checked (interfaces.md section 1)."""

import re
from collections.abc import Iterator
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from guardd.model.names import AccountName, Severity, VenueName

PREFIX: Final = "GUARDD_"
CONFIRM_VARIABLE: Final = "GUARDD_CONFIRM"
TOKEN_VARIABLE: Final = "GUARDD_HTTP__TOKEN"  # noqa: S105 - the name of a variable, not a token
WITHOUT_SYNC_VARIABLE: Final = "GUARDD_MEASURE_WITHOUT_SYNC"
NOT_IN_A_FILE: Final = {
    ("confirm",): CONFIRM_VARIABLE,
    ("http", "token"): TOKEN_VARIABLE,
    ("measure_without_sync",): WITHOUT_SYNC_VARIABLE,
}
"""Settings that only the environment may carry: a file is copied and committed, a word given at the start is not."""


class Mode(StrEnum):
    OBSERVE = "observe"
    ENFORCE = "enforce"


class Environment(StrEnum):
    LIVE = "live"
    DEMO = "demo"


class Venue(StrEnum):
    BITMART = "bitmart"
    BITGET = "bitget"


_CREDENTIAL_SUFFIXES: Final[dict[Venue, tuple[str, str, str]]] = {
    Venue.BITMART: ("API_KEY", "API_SECRET", "API_MEMO"),
    Venue.BITGET: ("API_KEY", "API_SECRET", "API_PASSPHRASE"),
}
_HOSTS: Final[dict[str, Environment]] = {
    "api-cloud-v2.bitmart.com": Environment.LIVE,
    "openapi-ws-v2.bitmart.com": Environment.LIVE,
    "demo-api-cloud-v2.bitmart.com": Environment.DEMO,
    "openapi-wsdemo-v2.bitmart.com": Environment.DEMO,
    "ws.bitget.com": Environment.LIVE,
    "wspap.bitget.com": Environment.DEMO,
}
"""Hosts that belong to one environment for certain (BitMart reference, section 2): live orders on demo prices end badly."""
_LOCAL: Final = "this machine"


def _venue_url(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"expected {' or '.join(f'{scheme}://host[:port]' for scheme in schemes)}")
        if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username or parts.password:
            raise ValueError("expected a host and a port only: no path, no query, no user")
        return f"{parts.scheme}://{parts.netloc}"

    return AfterValidator(check)


def _spoken_of(value: object) -> object:
    """A single word where a list is allowed."""
    return (value,) if isinstance(value, str) else value


_BASE: Final = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)
Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Port: TypeAlias = Annotated[int, Field(ge=0, le=65535)]
ProductType: TypeAlias = Literal["USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES"]


class HttpSettings(BaseModel):
    """Where the status page and the API listen. Port 0 takes any free one."""

    model_config = _BASE
    host: str = "127.0.0.1"
    port: Port = 9517
    token: SecretStr | None = None
    """Bearer token of POST /halt, /resume and /flatten; from the environment or a secret file only."""


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class LogSettings(BaseModel):
    model_config = _BASE
    level: LogLevel = LogLevel.INFO
    format: LogFormat = LogFormat.AUTO


def _names_a_place(url: str) -> str:
    if not re.fullmatch(r"(env|secret):[A-Za-z_][A-Za-z0-9_.-]*", url):
        raise ValueError("expected env:NAME or secret:NAME: the address itself holds a token and never stands here")
    return url


KeptAddress: TypeAlias = Annotated[str, AfterValidator(_names_a_place)]
_SECONDS_IN: Final = {"s": 1, "m": 60, "h": 3600}


def _seconds(text: str) -> int:
    """`60s`, `5m`, `1h`, as in the policy."""
    return int(text[:-1]) * _SECONDS_IN[text[-1]]


def _between_10s_and_1h(text: str) -> str:
    if not 10 <= _seconds(text) <= 3600:
        raise ValueError("expected 10s to 1h")
    return text


class NotifySettings(BaseModel):
    """One receiver of messages. Its address holds a token, so only the place where it is kept stands here."""

    model_config = _BASE
    url: KeptAddress
    """env:NAME or secret:NAME. What is kept there is an http(s) address, which gets a JSON POST, or one of Apprise's."""
    min_severity: Severity = Severity.WARNING
    daily_summary: bool = True
    """Send the summary of each day (00:05 UTC) there too, whatever min_severity says."""


class HeartbeatSettings(BaseModel):
    """A dead man's switch: an address that is asked as long as all is seen, and rings when that stops."""

    model_config = _BASE
    url: KeptAddress
    """env:NAME or secret:NAME; what is kept there is an http(s) address, asked by GET."""
    every: Annotated[str, Field(pattern=r"^[0-9]{1,5}[smh]$"), AfterValidator(_between_10s_and_1h)] = "60s"
    """10s to 1h; let the other side ring after three of them."""

    @property
    def every_s(self) -> int:
        return _seconds(self.every)


class AccountSettings(BaseModel):
    """One account to guard."""

    model_config = _BASE
    name: Name
    """Your word for it: in logs, metrics and commands."""
    venue: Venue
    environment: Environment = Environment.LIVE
    credentials: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")] | None = None
    """Prefix of the variables; None: the venue's name in capitals."""
    broker_id: Annotated[str, Field(pattern=r"^[!-~]{1,64}$")] | None = None
    """X-BM-BROKER-ID on every request to BitMart, X-CHANNEL-API-CODE on orders at Bitget; None: none is sent."""
    rest_url: Annotated[str, _venue_url("https", "http")] | None = None
    stream_url: Annotated[str, _venue_url("wss", "ws")] | None = None
    """Other hosts than the venue's: scheme://host[:port], both addresses of one environment."""
    product_type: Annotated[tuple[ProductType, ...], BeforeValidator(_spoken_of), Field(min_length=1)] | None = None
    """Of a classic Bitget account: the lines that are read; None: USDT-FUTURES. A unified account is read whole."""
    mode: Mode | None = None
    """An account may be stricter than the whole, never laxer: `Settings.mode_of`."""

    @property
    def credential_names(self) -> tuple[str, str, str]:
        """The variables (or files) that hold key, secret, and memo or passphrase."""
        prefix = self.credentials or self.venue.upper()
        key, secret, phrase = (f"{prefix}_{suffix}" for suffix in _CREDENTIAL_SUFFIXES[self.venue])
        return key, secret, phrase

    @model_validator(mode="after")
    def _fits_the_venue(self) -> Self:
        if self.venue is not Venue.BITGET and self.product_type is not None:
            raise ValueError(f"product_type is a word of bitget; {self.venue} has none")
        return self

    @model_validator(mode="after")
    def _one_environment(self) -> Self:
        found = {name: place for name, url in self._urls() if (place := self._place_of(url)) is not None}
        if len(set(found.values())) > 1:
            told = " and ".join(f"{name} is {place}" for name, place in found.items())
            raise ValueError(f"{told}: orders and prices must be of one environment, give both addresses")
        if (place := next(iter(found.values()), None)) in set(Environment) and place != self.environment:
            raise ValueError(f"the addresses are {place}, but environment is {self.environment}")
        return self

    @property
    def is_live(self) -> bool:
        """Whether an order could reach a market that is real: anything but the venue's demo and addresses of this machine."""
        on_this_machine = all(url is not None and self._place_of(url) == _LOCAL for _, url in self._urls())
        return self.environment is Environment.LIVE and not on_this_machine

    def _urls(self) -> Iterator[tuple[str, str | None]]:
        yield "rest_url", self.rest_url
        yield "stream_url", self.stream_url

    def _place_of(self, url: str | None) -> str | None:
        """The environment a host belongs to; None for a gateway, which only its owner knows."""
        if url is None:
            return self.environment
        host = (urlsplit(url).hostname or "").lower()
        return _LOCAL if is_loopback(host) else _HOSTS.get(host)


class Settings(BaseSettings):
    """Everything of interfaces.md section 1. `Settings(...)` reads nothing but its arguments; `load_settings` reads the world."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
    )
    mode: Mode = Mode.OBSERVE
    """observe: watch, decide and report, send nothing. enforce: act."""
    policy: Path = Path("policy.yaml")
    policy_watch: bool = False
    """Reload the policy when its file changes, as on SIGHUP; a file still being written is waited for."""
    data_dir: Path = Path("./data")
    """Journal and tape; one guardd at a time may use it."""
    journal: Literal["sqlite"] = "sqlite"
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    rate_limit_share: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Part of each venue budget for ordinary traffic (interfaces.md section 6)."""
    secrets_dir: Path | None = None
    """A directory with one file a secret, named like the variable."""
    notify: tuple[NotifySettings, ...] = ()
    heartbeat: HeartbeatSettings | None = None
    """Sent only while every guard's loop turns and every account was read in the last minute."""
    accounts: Annotated[tuple[AccountSettings, ...], Field(min_length=1)]
    confirm: Annotated[str, Field(pattern=r"^CONFIRM(:\S+)?$")] | None = None
    """The operator's word for an unattended start: `CONFIRM` or `CONFIRM:<digest>`. Environment or command line only."""

    measure_without_sync: bool = False
    """For measurements: the journal isn't synced, so a power cut may lose what was sent. Environment only, and never to enforce on
    a live venue (I20)."""

    @field_validator("accounts")
    @classmethod
    def _names_differ(cls, accounts: tuple[AccountSettings, ...]) -> tuple[AccountSettings, ...]:
        names = [account.name for account in accounts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two accounts have the name {twice[0]}: each needs its own")
        return accounts

    @model_validator(mode="after")
    def _a_measurement_sends_nothing_live(self) -> Self:
        live = [each.name for each in self.accounts if self.mode_of(each) is Mode.ENFORCE and each.is_live]
        if self.measure_without_sync and live:
            raise ValueError(
                f"{WITHOUT_SYNC_VARIABLE} keeps the journal from being durable, and account {live[0]} is to enforce on a live "
                "venue, where no order leaves before its intent is durable (I20): unset it; it is for measurements on a "
                "simulator of this machine, a demo environment, or mode observe"
            )
        return self

    def mode_of(self, account: AccountSettings) -> Mode:
        """`enforce` only where the whole and the account both say so."""
        laxest = (self.mode, account.mode or self.mode)
        return Mode.OBSERVE if Mode.OBSERVE in laxest else Mode.ENFORCE

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def settings_schema() -> dict[str, object]:
    """JSON Schema of the YAML file, for editors; `config/guardd.schema.json` is this."""
    schema = Settings.model_json_schema()
    del schema["properties"]["confirm"], schema["properties"]["measure_without_sync"]
    del schema["$defs"]["HttpSettings"]["properties"]["token"]
    schema["$defs"]["AccountSettings"]["properties"]["product_type"]["anyOf"].insert(
        0, {"enum": list(get_args(ProductType)), "type": "string"}
    )
    for part in (schema, *schema["$defs"].values()):
        part.pop("title", None)
        part.pop("description", None)
        for described in part.get("properties", {}).values():
            described.pop("title", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "guardd settings", **schema}


def is_loopback(host: str) -> bool:
    """True for this machine's own addresses."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def account_name(account: AccountSettings) -> AccountName:
    """The name as the rest of guardd types it."""
    return AccountName(account.name)


def venue_name(account: AccountSettings) -> VenueName:
    return VenueName(account.venue.value)
