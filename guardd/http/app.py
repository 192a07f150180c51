"""The HTTP interface (interfaces.md section 4): read-only pages for all who reach it, three words for who holds the token."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from ipaddress import ip_address
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Struct

from guardd.http.board import Board, Json
from guardd.http.feed import Feed, Wait
from guardd.model.names import AccountName

BODY_BYTES_MAX: Final = 4_096
SHUTDOWN_S: Final = 2.0
Word = Callable[[AccountName | None], None]
"""An operator's word for one account, or for all of them (None). Posts an event; must not block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """What the three POSTs call. `token` None: nobody may."""

    halt: Word
    resume: Word
    flatten: Word
    token: str | None = field(repr=False, default=None)


class Sources(Struct, frozen=True, kw_only=True):
    """Where the answers come from."""

    board: Board
    metrics: Callable[[str], tuple[AsyncIterator[bytes], str]]
    """The `Accept` header gives body, in pieces, and content type of /metrics."""
    silent: Callable[[], str | None]
    """None while the guard's pulse beats; else why it counts as dead."""
    wait: Wait


def make_app(*, sources: Sources, operator: Operator, loopback: bool = True) -> web.Application:
    """`loopback`: it listens on this machine alone, so a request that names another host comes from a web page that was
    tricked into asking (DNS rebinding), and is refused."""
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[_guarded(loopback=loopback)])
    asked = _Asked(sources)
    spoken = _Spoken(operator, sources.board)
    app.on_response_prepare.append(_carried)
    app.on_shutdown.append(asked.close)
    app.router.add_get("/", asked.page)
    app.router.add_get("/metrics", asked.metrics)
    app.router.add_get("/livez", asked.livez)
    app.router.add_get("/readyz", asked.readyz)
    app.router.add_get("/status", asked.status)
    app.router.add_get("/events", asked.events)
    app.router.add_post("/halt", spoken.halt)
    app.router.add_post("/resume", spoken.resume)
    app.router.add_post("/flatten", spoken.flatten)
    return app


async def serve(app: web.Application, *, host: str, port: int, listening: Callable[[str], None]) -> None:
    """Serve until cancelled. `listening` is told the address once, with the real port where `port` was 0. Raises `OSError`."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0]
        listening(f"http://{_in_url(host)}:{bound[1]}")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


class _Asked:
    """Every GET."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._feed = Feed(board=sources.board, picture=self._picture, wait=sources.wait)

    async def metrics(self, request: web.Request) -> web.Response:
        pieces, content_type = self._sources.metrics(request.headers.get("Accept", ""))
        return web.Response(body=pieces, headers={"Content-Type": content_type})

    async def livez(self, _: web.Request) -> web.Response:
        why = self._sources.silent()
        return _lines("alive") if why is None else _lines(why, status=503)

    async def readyz(self, _: web.Request) -> web.Response:
        reasons = self._sources.board.not_ready()
        return _lines("ready") if not reasons else _lines(*reasons, status=503)

    async def status(self, _: web.Request) -> web.Response:
        return web.json_response(self._picture())

    async def events(self, request: web.Request) -> web.StreamResponse:
        if self._feed.is_full:
            raise _refusal(503, "events: too many readers; /status can still be read")
        return await self._feed.run(request)

    async def close(self, _: web.Application) -> None:
        """A page that is open doesn't hold up the end."""
        self._feed.closing.set()

    def _picture(self) -> dict[str, Json]:
        return {**self._sources.board.status(), "silent": self._sources.silent()}

    async def page(self, _: web.Request) -> web.Response:
        html, policy = _page()
        headers = {"Content-Security-Policy": policy}
        return web.Response(text=html, content_type="text/html", charset="utf-8", headers=headers)


class _Spoken:
    """Every POST: the token first, then the body, then the word."""

    def __init__(self, operator: Operator, board: Board) -> None:
        self._operator = operator
        self._board = board

    async def halt(self, request: web.Request) -> web.Response:
        body = await self._body(request, "account")
        return self._say("halt", self._operator.halt, self._account(body))

    async def resume(self, request: web.Request) -> web.Response:
        body = await self._body(request, "account")
        return self._say("resume", self._operator.resume, self._account(body))

    async def flatten(self, request: web.Request) -> web.Response:
        """Closes everything, so it wants the account by name and the word beside the token."""
        body = await self._body(request, "account", "confirm")
        account = self._account(body)
        if account is None:
            raise _refusal(400, 'account: missing; flatten takes one account: {"account": "…", "confirm": "CONFIRM"}')
        if body.get("confirm") != "CONFIRM":
            raise _refusal(400, 'confirm: expected "CONFIRM"; nothing was done')
        if self._board.observes(account):
            raise _refusal(409, f"{account} is only observed, so nothing would be sent; nothing was done")
        return self._say("flatten", self._operator.flatten, account)

    def _say(self, name: str, word: Word, account: AccountName | None) -> web.Response:
        word(account)
        told = [account] if account is not None else list(self._board.accounts)
        return web.json_response({"accepted": name, "accounts": told}, status=202)

    def _account(self, body: dict[str, object]) -> AccountName | None:
        name = body.get("account")
        if name is None:
            return None
        if name not in self._board.accounts:
            known = ", ".join(self._board.accounts)
            raise _refusal(404, f"account: no such account; this guardd has {known}")
        return AccountName(str(name))

    async def _body(self, request: web.Request, *known: str) -> dict[str, object]:
        self._admit(request)
        try:
            text = await request.text()
            body = json.loads(text) if text.strip() else {}
        except (ValueError, LookupError, RecursionError):  # not JSON, not UTF-8, an unknown charset, nested too deep
            raise _refusal(400, 'body: not JSON; expected {"account": "…"}') from None
        if not isinstance(body, dict):
            raise _refusal(400, 'body: expected an object such as {"account": "…"}')
        if unknown := sorted(set(body) - set(known)):
            raise _refusal(400, f"{unknown[0][:40]}: no such field; expected {' and '.join(known)}")
        for name, value in body.items():
            if not isinstance(value, str):
                raise _refusal(400, f"{name}: expected text")
        return body

    def _admit(self, request: web.Request) -> None:
        token = self._operator.token
        if token is None:
            raise _refusal(403, "no token is configured (GUARDD_HTTP__TOKEN), so nobody may do this over HTTP")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        same = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token.encode())
        if scheme.lower() != "bearer" or not same:
            raise _refusal(401, "expected the header `Authorization: Bearer <GUARDD_HTTP__TOKEN>`")


async def _carried(_: web.Request, answer: web.StreamResponse) -> None:
    """What every answer carries."""
    answer.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"


def _guarded(*, loopback: bool) -> Middleware:
    """Who may ask at all, and errors as JSON."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if loopback and not _is_this_machine(request.host):
            return _json_error(403, "this guardd listens on loopback only; ask for it as 127.0.0.1 or localhost")
        try:
            answer = await handler(request)
        except _Refusal as refusal:
            answer = _json_error(refusal.status, refusal.text)
            if refusal.status == 401:
                answer.headers["WWW-Authenticate"] = 'Bearer realm="guardd"'
        except web.HTTPException as error:  # aiohttp's own: 404, 405, 413
            answer = _json_error(error.status, error.reason)
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
        return answer

    return middleware


class _Refusal(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def _refusal(status: int, text: str) -> _Refusal:
    return _Refusal(status, text)


def _json_error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)


def _lines(*lines: str, status: int = 200) -> web.Response:
    return web.Response(text="".join(f"{line}\n" for line in lines), status=status)


def _is_this_machine(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@cache
def _page() -> tuple[str, str]:
    """The page, and a policy that lets in its own style and script and nothing else."""
    folder = files("guardd.http")
    style = (folder / "page.css").read_text(encoding="utf-8")
    script = (folder / "page.js").read_text(encoding="utf-8")
    html = (folder / "page.html").read_text(encoding="utf-8").replace("/*style*/", style).replace("/*script*/", script)
    policy = (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
