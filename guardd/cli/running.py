"""A running daemon, spoken to over its HTTP interface (interfaces.md section 4)."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Final, TypeAlias

import aiohttp
from msgspec import Struct

from guardd.config import Secrets, Settings
from guardd.errors import ConfigurationError, CredentialsError, VenueError

DEADLINE_S: Final = 5.0
ANSWER_BYTES_MAX: Final = 4_000_000
Document: TypeAlias = Mapping[str, object]


class NoDaemon(VenueError):
    """Nobody listens where the daemon should: not a fault, but a reason to take another way."""


class Refused(VenueError):
    """The daemon answered, and said no."""


class Daemon(Struct, frozen=True, kw_only=True):
    """Where it listens, and the session to ask it with."""

    url: str
    session: aiohttp.ClientSession

    async def status(self) -> Document:
        """The body of /status. Raises `NoDaemon`, and `Refused` when what answers there is no guardd."""
        document = await self._ask("GET", "/status")
        if not isinstance(document.get("accounts"), list):
            raise Refused(f"{self.url}/status: found no accounts in the answer, expected a guardd's status")
        return document

    async def not_ready(self) -> tuple[str, ...]:
        """Why an account isn't live, one sentence each; empty when all are."""
        try:
            async with self.session.get(f"{self.url}/readyz") as answer:
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unheard(error) from None
        return () if answer.status == 200 else tuple(line for line in text.splitlines() if line)

    async def say(self, word: str, token: str | None, **body: str) -> Document:
        """`halt`, `resume` or `flatten`. Raises `CredentialsError` when the token is missing or another."""
        if token is None:
            raise CredentialsError(
                f"a daemon runs at {self.url}, and it takes a word only from who holds its token: "
                "GUARDD_HTTP__TOKEN missing; looked in secrets_dir, $CREDENTIALS_DIRECTORY, the environment, .env"
            )
        return await self._ask("POST", f"/{word}", token=token, body=body)

    async def _ask(
        self, method: str, path: str, *, token: str | None = None, body: Mapping[str, str] | None = None
    ) -> Document:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            async with self.session.request(method, f"{self.url}{path}", headers=headers, json=body) as answer:
                text = (await answer.content.read(ANSWER_BYTES_MAX)).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unheard(error) from None
        document = _document(text)
        if answer.status < 300 and document is not None:
            return document
        said = document.get("error") if document is not None else None
        if said is None:
            raise Refused(
                f"{self.url}{path}: found HTTP {answer.status} from something else, expected a guardd's answer"
            )
        if answer.status == 401:
            raise CredentialsError(
                f"the daemon at {self.url} refuses our GUARDD_HTTP__TOKEN; expected the one that it was started with"
            )
        if answer.status == 403:
            raise CredentialsError(f"the daemon at {self.url} refuses: {said}; start it with GUARDD_HTTP__TOKEN set")
        raise Refused(f"the daemon at {self.url} refuses: {said}")

    def _unheard(self, error: aiohttp.ClientError | TimeoutError) -> NoDaemon | Refused:
        """Refused connections mean that nobody is there; silence and broken answers mean that somebody may be."""
        if isinstance(error, aiohttp.ClientConnectorError):
            return NoDaemon(f"no guardd answers at {self.url}: {error.strerror or type(error).__name__}")
        return Refused(f"{self.url}: no usable answer within {DEADLINE_S:g} s ({type(error).__name__})")


@asynccontextmanager
async def daemon_at(url: str) -> AsyncIterator[Daemon]:
    timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        yield Daemon(url=url.rstrip("/"), session=session)


def url_of(settings: Settings) -> str:
    """Where the daemon of these settings listens. Raises `ConfigurationError` for port 0, which is any free one."""
    host, port = settings.http.host, settings.http.port
    if port == 0:
        raise ConfigurationError(
            "http.port: found 0 (any free one), expected the port that the daemon printed: use --url"
        )
    try:
        address = ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:  # it listens everywhere, so here too
        host = "127.0.0.1" if address.version == 4 else "::1"
    return f"http://[{host}]:{port}" if address.version == 6 else f"http://{host}:{port}"


def token_of(settings: Settings) -> str | None:
    return Secrets.of(settings).http_token(settings)


def _document(text: str) -> Document | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
