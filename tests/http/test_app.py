"""The HTTP interface over loopback (interfaces.md section 4)."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from guardd.clock import ManualClock
from guardd.http.app import Operator, Sources, make_app, serve
from guardd.http.board import Board, CallsLeft
from guardd.model.account import AccountCondition
from guardd.model.event import BlockKind, StreamName
from guardd.model.facts import AccountView, BlockChanged, RuleAhead, StreamChanged
from guardd.model.intent import Stage
from guardd.model.names import AccountName, RuleName, Severity, Symbol
from guardd.model.reading import Absent
from tests.changed import replace
from tests.telemetry.making import MAIN, START, WHO, balance_view, position, said, staged, unknown_position, view

TOKEN = "canary-token-51ce"
HEDGE = AccountName("hedge")
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Heard:
    """What the daemon was told, and what it says of itself."""

    def __init__(self) -> None:
        self.words: list[tuple[str, str | None]] = []
        self.silent: str | None = None
        self.digest = "abc123"
        self.clock = ManualClock()
        self.left = [CallsLeft(account=MAIN, bucket="positions/uid", calls=7)]
        self.board = Board(
            accounts=(MAIN, HEDGE),
            mode="enforce",
            version="0.1.0",
            policy_digest=lambda: self.digest,
            now_ms=lambda: self.clock.now().wall_ms,
            calls_left=lambda: self.left,
        )

    def operator(self, token: str | None) -> Operator:
        return Operator(
            halt=lambda account: self.words.append(("halt", account)),
            resume=lambda account: self.words.append(("resume", account)),
            flatten=lambda account: self.words.append(("flatten", account)),
            token=token,
        )

    def sources(self) -> Sources:
        async def pieces(accept: str) -> AsyncIterator[bytes]:
            yield b"for "
            yield accept.encode()

        def metrics(accept: str) -> tuple[AsyncIterator[bytes], str]:
            return pieces(accept), "text/plain; version=0.0.4; charset=utf-8"

        return Sources(board=self.board, metrics=metrics, silent=lambda: self.silent, wait=self.clock.wait)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def client(heard: Heard) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(make_app(sources=heard.sources(), operator=heard.operator(TOKEN)))) as made:
        yield made


@pytest.fixture
async def without_token(heard: Heard) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(make_app(sources=heard.sources(), operator=heard.operator(None)))) as made:
        yield made


def hedge(condition: AccountCondition = AccountCondition.LIVE, why: str = "") -> AccountView:
    return view(account=HEDGE, condition=condition, condition_why=why)


# Health


async def test_livez_is_200_while_the_pulse_beats(client: TestClient, heard: Heard) -> None:
    assert (await client.get("/livez")).status == 200
    heard.silent = "no pulse for 12 s"
    answer = await client.get("/livez")
    assert (answer.status, await answer.text()) == (503, "no pulse for 12 s\n")


async def test_readyz_is_200_while_every_account_is_live_and_tells_why_not(client: TestClient, heard: Heard) -> None:
    answer = await client.get("/readyz")
    assert answer.status == 503
    assert await answer.text() == "main: starting, nothing was read yet\nhedge: starting, nothing was read yet\n"
    heard.board(view())
    heard.board(hedge(AccountCondition.STALE, "no mark of BTCUSDT for 16 s"))
    answer = await client.get("/readyz")
    assert (answer.status, await answer.text()) == (503, "hedge: stale, no mark of BTCUSDT for 16 s\n")
    heard.board(hedge())
    assert (await client.get("/readyz")).status == 200


# Status


async def test_status_is_the_documented_json_with_decimal_strings(client: TestClient, heard: Heard) -> None:
    heard.board(view(position()))
    heard.board(hedge())
    status = await (await client.get("/status")).json()
    documented = json.loads(
        """{"mode": "enforce", "halted": false, "version": "0.1.0", "policy_digest": "abc123", "accounts": [{
          "name": "main", "venue": "bitmart", "state": "live", "equity": "1042.11", "margin_ratio": "0.31",
          "positions": [{"symbol": "BTCUSDT", "side": "long", "margin_mode": "isolated", "leverage": "10", "quantity": "0.1",
            "entry_price": "90000", "mark_price": "89120.4", "liquidation_price": "81407.0", "distance_to_liquidation": "0.0866",
            "unrealized_pnl": "-87.96", "protected": true, "stop_loss": {"trigger_price": "83555.3", "order_id": "220"},
            "take_profit": null, "next_rule": {"name": "last-resort", "at_mark_price": "82695.9"}}]}]}"""
    )
    assert contains(status, documented)
    assert [account["name"] for account in status["accounts"]] == ["main", "hedge"]


def contains(found: object, wanted: object) -> bool:
    """Every documented key with its documented value; more may stand beside it."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(key in found and contains(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return isinstance(found, list) and all(contains(*pair) for pair in zip(found, wanted, strict=False))
    return found == wanted


async def test_every_balance_is_told_with_what_is_doubtful_about_it(client: TestClient, heard: Heard) -> None:
    doubt = "the model doesn't reproduce the venue's figures"
    fallen = replace(balance_view("USDT", Decimal("1042.11")), drawdown=Decimal("0.05"))
    known, unknown = ({"drawdown": text, "drawdown_reason": ""} for text in ("0.05", None))
    balances = (fallen, balance_view("USDC", Absent.UNKNOWN, doubt=doubt))
    heard.board(view(family="classic", balances=balances))
    account = (await (await client.get("/status")).json())["accounts"][0]
    assert (account["family"], account["equity"]) == ("classic", "1042.11")
    assert account["balances"] == [
        {"currency": "USDT", "equity": "1042.11", "margin_ratio": "0.31", "pooled": False, "doubt": "", **known},
        {"currency": "USDC", "equity": None, "margin_ratio": "0.31", "pooled": False, "doubt": doubt, **unknown},
    ]


async def test_what_is_unknown_is_null_and_never_zero(client: TestClient, heard: Heard) -> None:
    heard.board(view(unknown_position(), equity=Absent.UNKNOWN, margin_ratio=Absent.NONE))
    account = (await (await client.get("/status")).json())["accounts"][0]
    assert (account["equity"], account["margin_ratio"]) == (None, None)
    told = account["positions"][0]
    unknown = ("mark_price", "liquidation_price", "distance_to_liquidation", "unrealized_pnl", "stop_loss", "next_rule")
    assert {name: told[name] for name in unknown} == dict.fromkeys(unknown)


async def test_a_number_is_never_in_scientific_notation(client: TestClient, heard: Heard) -> None:
    heard.board(view(position(quantity=Decimal("1E+3"), entry_price=Decimal("1.0E-9"))))
    told = (await (await client.get("/status")).json())["accounts"][0]["positions"][0]
    assert (told["quantity"], told["entry_price"]) == ("1000", "0.0000000010")


async def test_an_account_that_was_not_read_yet_is_starting(client: TestClient) -> None:
    status = await (await client.get("/status")).json()
    assert [(account["name"], account["state"]) for account in status["accounts"]] == [
        ("main", "starting"),
        ("hedge", "starting"),
    ]


async def test_halted_and_the_policy_are_told_as_they_are_now(client: TestClient, heard: Heard) -> None:
    heard.board(view(condition=AccountCondition.HALTED, unguarded=((Symbol("BTCUSD"), "inverse contract"),)))
    heard.board(said(Severity.INFO))
    heard.digest = "def456"
    status = await (await client.get("/status")).json()
    assert (status["halted"], status["policy_digest"]) == (True, "def456")
    assert status["accounts"][0]["unguarded"] == [{"symbol": "BTCUSD", "reason": "inverse contract"}]


async def test_every_rule_that_a_move_of_the_mark_makes_act_is_told_with_its_price(
    client: TestClient, heard: Heard
) -> None:
    near = RuleAhead(rule=RuleName("trim"), at_mark_price=Decimal("85000.0"), is_true=False)
    now = RuleAhead(rule=RuleName("warn"), at_mark_price=Decimal("89000.0"), is_true=True)
    heard.board(view(position(rules_ahead=(now, near))))
    told = (await (await client.get("/status")).json())["accounts"][0]["positions"][0]
    assert told["rules"] == [
        {"name": "warn", "at_mark_price": told["mark_price"], "is_true": True},
        {"name": "trim", "at_mark_price": "85000.0", "is_true": False},
    ]


async def test_what_is_left_of_each_budget_is_told_beside_the_most_that_was_seen(
    client: TestClient, heard: Heard
) -> None:
    """The scarcest first; a budget of one call that was spent before anybody looked is one of nothing."""
    heard.left.append(CallsLeft(account=MAIN, bucket="orders/uid", calls=20))
    await client.get("/status")
    heard.left = [
        CallsLeft(account=MAIN, bucket="positions/uid", calls=6),
        CallsLeft(account=MAIN, bucket="orders/uid", calls=2),
        CallsLeft(account=MAIN, bucket="mode/key", calls=0),
    ]
    accounts = (await (await client.get("/status")).json())["accounts"]
    assert accounts[0]["budgets"] == [
        {"bucket": "mode/key", "calls_left": 0, "calls_left_most": 1},
        {"bucket": "orders/uid", "calls_left": 2, "calls_left_most": 20},
        {"bucket": "positions/uid", "calls_left": 6, "calls_left_most": 7},
    ]
    assert accounts[1]["budgets"] == []


async def test_a_block_is_told_until_its_moment_has_passed(client: TestClient, heard: Heard) -> None:
    now_ms = heard.clock.now().wall_ms
    heard.board(BlockChanged(**WHO, kind=BlockKind.EDGE, until_ms=now_ms + 30_000))
    heard.board(BlockChanged(**WHO, kind=BlockKind.BAN, until_ms=0))
    account = (await (await client.get("/status")).json())["accounts"][0]
    assert account["blocks"] == [{"kind": "edge", "until_ms": now_ms + 30_000}]
    heard.clock.pass_time(30)
    assert (await (await client.get("/status")).json())["accounts"][0]["blocks"] == []


async def test_streams_the_latest_decisions_and_the_pulse_are_told(client: TestClient, heard: Heard) -> None:
    heard.board(StreamChanged(**WHO, stream=StreamName.PRIVATE, up=False, why="closed by the venue"))
    heard.board(staged(Stage.VERIFIED))
    heard.silent = "no pulse for 12 s"
    status = await (await client.get("/status")).json()
    assert status["accounts"][0]["streams"] == [{"stream": "private", "up": False, "reason": "closed by the venue"}]
    assert status["recent"] == [
        {
            "number": 1, "at_ms": START.wall_ms, "account": "main", "symbol": "BTCUSDT", "side": "long",
            "kind": "decision", "severity": "info", "rule": "trim", "action": "reduce", "stage": "verified",
            "reason": "the distance fell below 8 %", "detail": "", "id": "gd1abc",
        }
    ]  # fmt: skip
    assert (status["silent"], status["at_ms"]) == ("no pulse for 12 s", heard.clock.now().wall_ms)


async def test_metrics_come_in_the_form_that_was_asked_for(client: TestClient) -> None:
    answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert await answer.text() == "for application/openmetrics-text"
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


# Words


@pytest.mark.parametrize("word", ["halt", "resume"])
@pytest.mark.parametrize(
    ("body", "account", "accounts"),
    [('{"account": "main"}', "main", ["main"]), ("{}", None, ["main", "hedge"]), ("", None, ["main", "hedge"])],
)
async def test_a_word_with_the_token_reaches_the_daemon(
    client: TestClient, heard: Heard, word: str, body: str, account: str | None, accounts: list[str]
) -> None:
    answer = await client.post(f"/{word}", data=body, headers=BEARER)
    assert (answer.status, await answer.json()) == (202, {"accepted": word, "accounts": accounts})
    assert heard.words == [(word, account)]


async def test_flatten_wants_the_account_and_the_word(client: TestClient, heard: Heard) -> None:
    for body in ({}, {"account": "main"}, {"confirm": "CONFIRM"}, {"account": "main", "confirm": "confirm"}):
        assert (await client.post("/flatten", json=body, headers=BEARER)).status == 400
    assert heard.words == []
    answer = await client.post("/flatten", json={"account": "main", "confirm": "CONFIRM"}, headers=BEARER)
    assert answer.status == 202
    assert heard.words == [("flatten", "main")]


async def test_I22_flatten_is_not_accepted_for_an_account_that_is_only_observed(
    client: TestClient, heard: Heard
) -> None:
    heard.board(view(mode="observe"))
    answer = await client.post("/flatten", json={"account": "main", "confirm": "CONFIRM"}, headers=BEARER)
    assert (answer.status, heard.words) == (409, [])
    assert "nothing would be sent" in (await answer.json())["error"]


@pytest.mark.parametrize("word", ["halt", "resume", "flatten"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer tökén"},
    ],
)
async def test_without_the_right_token_nothing_happens(
    client: TestClient, heard: Heard, word: str, headers: dict[str, str]
) -> None:
    answer = await client.post(f"/{word}", json={"account": "main", "confirm": "CONFIRM"}, headers=headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert heard.words == []
    assert TOKEN not in await answer.text()


@pytest.mark.parametrize("headers", [{}, BEARER, {"Authorization": "Bearer "}])
async def test_where_no_token_is_configured_nobody_may(
    without_token: TestClient, heard: Heard, headers: dict[str, str]
) -> None:
    answer = await without_token.post("/halt", json={"account": "main"}, headers=headers)
    assert answer.status == 403
    assert "GUARDD_HTTP__TOKEN" in (await answer.json())["error"]
    assert heard.words == []


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ('{"account": "mian"}', 404, "no such account; this guardd has main, hedge"),
        ('{"acount": "main"}', 400, "acount: no such field"),
        ('{"account": 7}', 400, "account: expected text"),
        ('{"account": ["main"]}', 400, "account: expected text"),
        ('{"account": null}', 400, "account: expected text"),
        ("[]", 400, "expected an object"),
        ("main", 400, "not JSON"),
        ('"\ud800"'.encode("utf-8", "surrogatepass"), 400, "not JSON"),
        (json.dumps({"account": "x" * 5000}), 413, "Too Large"),
    ],
)
async def test_a_body_that_is_wrong_is_refused_with_what_was_expected(
    client: TestClient, heard: Heard, body: str | bytes, status: int, told: str
) -> None:
    answer = await client.post("/halt", data=body, headers=BEARER)
    assert answer.status == status
    assert told in (await answer.json())["error"]
    assert heard.words == []


async def test_a_charset_that_nobody_knows_is_a_bad_body(client: TestClient) -> None:
    headers = {**BEARER, "Content-Type": "application/json; charset=nonsense"}
    assert (await client.post("/halt", data=b"{}", headers=headers)).status == 400


@pytest.mark.parametrize("word", ["halt", "resume", "flatten"])
async def test_a_word_is_never_taken_by_get(client: TestClient, heard: Heard, word: str) -> None:
    answer = await client.get(f"/{word}", headers=BEARER)
    assert (answer.status, answer.headers["Allow"], heard.words) == (405, "POST", [])


async def test_an_unknown_path_is_404_in_json(client: TestClient) -> None:
    answer = await client.get("/nope")
    assert (answer.status, await answer.json()) == (404, {"error": "Not Found"})


async def test_a_page_that_was_tricked_into_asking_by_another_name_gets_nothing(
    client: TestClient, heard: Heard
) -> None:
    for host in ("evil.example", "evil.example:9517", "127.0.0.1.evil.example"):
        for path in ("/status", "/events"):
            assert (await client.get(path, headers={"Host": host})).status == 403
    for host in ("localhost", "localhost:9517", "127.0.0.1:1", "[::1]:9517", "[::1]"):
        assert (await client.get("/status", headers={"Host": host})).status == 200


async def test_behind_a_proxy_any_name_will_do(heard: Heard) -> None:
    app = make_app(sources=heard.sources(), operator=heard.operator(None), loopback=False)
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/status", headers={"Host": "guardd.internal"})).status == 200


# The page


async def test_the_page_carries_its_own_style_and_script_and_asks_nobody_else(client: TestClient) -> None:
    answer = await client.get("/")
    html, policy = await answer.text(), answer.headers["Content-Security-Policy"]
    assert answer.content_type == "text/html"
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (inner,) = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in policy
        assert len(inner) > 500
    assert policy.startswith("default-src 'none';")
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.findall(r"""(?:src|href)=["']https?:""", html)
    assert not re.findall(r"\sstyle=|\son\w+=", html)
    assert 'name="viewport"' in html
    assert "color-scheme" in html


@pytest.mark.parametrize("path", ["/", "/status", "/events", "/metrics", "/livez", "/readyz", "/nope", "/halt"])
async def test_every_answer_is_fresh_and_nosniff_and_cannot_be_framed(client: TestClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in headers


def test_I26_the_text_of_an_operator_does_not_show_the_token(heard: Heard) -> None:
    assert TOKEN not in repr(heard.operator(TOKEN))


# Serving


async def test_serve_tells_its_address_and_frees_the_port_when_it_ends(heard: Heard) -> None:
    app = make_app(sources=heard.sources(), operator=heard.operator(None))
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve(app, host="127.0.0.1", port=0, listening=told.set_result))
        address = await asyncio.wait_for(told, 5)
        async with aiohttp.ClientSession() as session, session.get(f"{address}/livez") as answer:
            assert answer.status == 200
        task.cancel()
    port = int(address.rpartition(":")[2])
    (await asyncio.start_server(lambda *_: None, "127.0.0.1", port)).close()


async def test_a_port_that_is_taken_is_an_error_of_the_system(heard: Heard) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    app = make_app(sources=heard.sources(), operator=heard.operator(None))
    with pytest.raises(OSError, match="address already in use"):
        await serve(app, host="127.0.0.1", port=port, listening=lambda _: None)
    server.close()
