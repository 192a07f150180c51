"""Views and facts for the tests of what tells."""

from decimal import Decimal
from typing import Any

from guardd.model.account import AccountCondition
from guardd.model.facts import AccountView, BalanceView, IntentStaged, PositionView, RestingView, Said
from guardd.model.instant import NS_PER_S, Instant
from guardd.model.intent import Action, CloseAtMarket, Intent, Stage
from guardd.model.names import (
    AccountName,
    ClientId,
    EpisodeId,
    OrderId,
    PositionKey,
    RuleName,
    Severity,
    Side,
    Symbol,
    VenueName,
)
from guardd.model.outcome import Outcome
from guardd.model.reading import Absent, Reading

MAIN, BITMART = AccountName("main"), VenueName("bitmart")
START = Instant(NS_PER_S, 1_767_225_600_000)  # 2026-01-01 00:00 UTC
WHO: dict[str, Any] = {"account": MAIN, "venue": BITMART}


def key(symbol: str = "BTCUSDT", side: Side = Side.LONG) -> PositionKey:
    return PositionKey(MAIN, Symbol(symbol), side)


def position(symbol: str = "BTCUSDT", side: Side = Side.LONG, **changed: Any) -> PositionView:
    values: dict[str, Any] = {
        "key": key(symbol, side),
        "margin_mode": "isolated",
        "leverage": Decimal(10),
        "quantity": Decimal("0.1"),
        "entry_price": Decimal(90000),
        "mark_price": Decimal("89120.4"),
        "liquidation_price": Decimal("81407.0"),
        "own_liquidation_price": Decimal("81400.0"),
        "liquidation_drift": Decimal("0.0001"),
        "distance_to_liquidation": Decimal("0.0866"),
        "notional": Decimal("8912.04"),
        "unrealized_pnl": Decimal("-87.96"),
        "protected": True,
        "protection_note": "",
        "unprotected_s": 1.5,
        "stop_loss": RestingView(trigger_price=Decimal("83555.3"), order_id=OrderId("220"), ours=True),
        "take_profit": None,
        "next_rule": RuleName("last-resort"),
        "next_rule_at": Decimal("82695.9"),
    }
    return PositionView(**{**values, **changed})


def view(*positions: PositionView, **changed: Any) -> AccountView:
    values: dict[str, Any] = {
        **WHO,
        "mode": "enforce",
        "condition": AccountCondition.LIVE,
        "condition_why": "",
        "currency": "USDT",
        "equity": Decimal("1042.11"),
        "margin_ratio": Decimal("0.31"),
        "protected_notional_ratio": Decimal(1),
        "venue_closing": False,
        "positions": positions,
        "unguarded": (),
        "at": START,
    }
    return AccountView(**{**values, **changed})


def balance_view(currency: str, equity: Reading, *, doubt: str = "") -> BalanceView:
    return BalanceView(currency=currency, equity=equity, margin_ratio=Decimal("0.31"), pooled=False, doubt=doubt)


def unknown_position() -> PositionView:
    names = ("leverage", "mark_price", "own_liquidation_price", "liquidation_drift", "distance_to_liquidation")
    absent: dict[str, Any] = dict.fromkeys((*names, "notional", "unrealized_pnl", "next_rule_at"), Absent.UNKNOWN)
    return position(liquidation_price=Absent.NONE, protected=False, stop_loss=None, next_rule=None, **absent)


def intent(action: Action = Action.REDUCE) -> Intent:
    return Intent(
        id=ClientId("gd1abc"),
        account=MAIN,
        key=key(),
        episode=EpisodeId("e1"),
        rule=RuleName("trim"),
        step=0,
        action=action,
        write=CloseAtMarket(key=key(), size=Decimal(1)),
        decided=START,
        frame_ns=1,
        quantity_before=Decimal(3),
        closed_before=Decimal(0),
        reason="the distance fell below 8 %",
    )


def staged(
    stage: Stage, outcome: Outcome | None = None, *, reaction_s: float | None = None, action: Action = Action.REDUCE
) -> IntentStaged:
    return IntentStaged(**WHO, intent=intent(action), stage=stage, outcome=outcome, detail="", reaction_s=reaction_s)


def said(severity: Severity, edge: str = "edge", text: str = "text", seconds: float = 0.0) -> Said:
    return Said(account=MAIN, severity=severity, edge=edge, text=text, at=START.later_by(seconds))
