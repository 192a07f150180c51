"""What a real guard seldom shows, on one page: every state, figures that nobody knows, names and texts that go too far."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Final

from aiohttp.test_utils import TestServer

from guardd.clock import SystemClock
from guardd.http.app import Operator, Sources, make_app
from guardd.http.board import Board, CallsLeft
from guardd.model.account import AccountCondition
from guardd.model.event import BlockKind, StreamName
from guardd.model.facts import BlockChanged, PositionView, RestingView, RuleAhead, StreamChanged
from guardd.model.intent import Stage
from guardd.model.names import AccountName, OrderId, RuleName, Severity, Side, Symbol, VenueName
from guardd.model.outcome import Reason, Rejected
from guardd.model.reading import Absent
from tests.changed import replace
from tests.telemetry.making import BITMART, balance_view, intent, position, said, staged, unknown_position, view

HOSTILE: Final = "<img src=x onerror=alert(1)><script>alert(2)</script>"
NAMES: Final = tuple(AccountName(name) for name in ("main", "parked-one", "stale-one", "banned-one", "new-one"))


@asynccontextmanager
async def staged_page(silent: str | None = None) -> AsyncIterator[str]:
    """Its address."""
    clock = SystemClock()
    board = Board(
        accounts=NAMES,
        mode="enforce",
        version="0.1.0",
        policy_digest=lambda: "0123456789abcdef" * 4,
        now_ms=lambda: clock.now().wall_ms,
        calls_left=lambda: [CallsLeft(account=NAMES[0], bucket="a-very-long-endpoint-name-of-a-venue/uid", calls=0)],
    )

    async def metrics(_: str) -> tuple[bytes, str]:
        return b"", "text/plain"

    _fill(board, clock)
    sources = Sources(board=board, metrics=metrics, silent=lambda: silent, wait=clock.wait)
    operator = Operator(halt=lambda _: None, resume=lambda _: None, flatten=lambda _: None)
    async with TestServer(make_app(sources=sources, operator=operator)) as server:
        yield f"http://127.0.0.1:{server.port}"


def _fill(board: Board, clock: SystemClock) -> None:
    now = clock.now()
    main, parked, stale, banned, _ = NAMES
    board(view(*_positions(), account=main, at=now, margin_ratio=Decimal("0.876543")))
    board(
        view(
            account=parked,
            at=now,
            condition=AccountCondition.PARKED,
            condition_why="I29: the venue's notional of BTCUSDT (9000.00) isn't quantity × multiplier × price (900.00)",
            venue_closing=True,
            unguarded=((Symbol("BTCUSD"), "an inverse contract"),),
            equity=Absent.UNKNOWN,
            margin_ratio=Absent.UNKNOWN,
        )
    )
    usdc = balance_view("USDC", Absent.UNKNOWN, doubt="the model doesn't reproduce the venue's figures")
    usdt = replace(balance_view("USDT", Decimal("0.004321")), drawdown=Decimal("0.1234"))
    board(
        view(
            position(),
            account=stale,
            venue=VenueName("bitget"),
            family="unified",
            mode="observe",
            at=now.later_by(-75),
            balances=(usdt, replace(usdc, drawdown_why="a step that nothing explains")),
            condition=AccountCondition.STALE,
            condition_why="no mark of BTCUSDT for 75 s",
        )
    )
    board(view(account=banned, at=now, condition=AccountCondition.BLOCKED, condition_why="held back by ban"))
    where = {"account": banned, "venue": BITMART}
    board(BlockChanged(**where, kind=BlockKind.BAN, until_ms=now.wall_ms + 900_000))
    board(StreamChanged(**where, stream=StreamName.PRIVATE, up=False, why="closed by the venue (4001)"))
    board(StreamChanged(**where, stream=StreamName.PUBLIC, up=True, why=""))
    for number in range(12):
        board(said(Severity.CRITICAL, edge=f"edge {number}", text=f"text {number}"))
    board(said(Severity.WARNING, edge="hostile", text=HOSTILE))
    board(staged(Stage.REJECTED, Rejected(reason=Reason.OTHER, code="40011", text=HOSTILE)))
    board(replace(staged(Stage.VERIFIED), intent=replace(intent(), id=intent().id + "x" * 26, reason="x" * 300)))


def _positions() -> tuple[PositionView, ...]:
    stop = RestingView(trigger_price=Decimal("0.0000011111"), order_id=OrderId("1"), ours=False)
    tiny = position(
        "1000000BABYDOGEUSDT",
        mark_price=Decimal("0.0000012345"),
        entry_price=Decimal("0.0000012000"),
        liquidation_price=Decimal("0.0000010101"),
        quantity=Decimal("123456789012.5"),
        unrealized_pnl=Decimal("0.00004321"),
        stop_loss=stop,
        rules_ahead=(
            RuleAhead(rule=RuleName(HOSTILE), at_mark_price=Decimal("0.0000012345"), is_true=True),
            RuleAhead(rule=RuleName("close"), at_mark_price=Decimal("0.0000010999"), is_true=False),
        ),
    )
    bare = position(
        "ETHUSDT", Side.SHORT, protected=False, stop_loss=None, protection_note="unprotected: venue allows one"
    )
    return tiny, bare, unknown_position()
