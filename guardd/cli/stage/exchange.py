"""The exchange of a case: its contracts, the account with what it holds from the start, and its prices step by step."""

from decimal import Decimal
from typing import Final

from guardd.cli.stage.requests import hand
from guardd.errors import ConfigurationError
from guardd.model.names import MarginMode, PositionMode
from guardd.policy.cases.language import Case, Entering, Holding, Listing, Owner, TrackKind
from guardd.simulator import orders as asked
from guardd.simulator.contracts import Contract, build_tiers
from guardd.simulator.engine import Exchange
from guardd.simulator.refusals import Refused

COIN: Final = "USDT"
PLENTY: Final = Decimal(10) ** 12
"""What the account holds while its positions are opened; then it is brought to its equity."""


def exchange_of(case: Case, now_ms: int) -> Exchange:
    exchange = Exchange([_contract(listing) for listing in case.listings], seed=1, now_ms=now_ms)
    owner: Owner = case.owner
    exchange.add_account(
        owner.name,
        deposit=PLENTY,
        spot=owner.spot,
        position_mode=asked.PositionMode(owner.position_mode.value),
        leverage=owner.leverage,
        margin_mode=asked.MarginMode(owner.margin_mode.value),
    )
    return exchange


def _contract(listing: Listing) -> Contract:
    base = listing.symbol.removesuffix(COIN)
    tiers = build_tiers([(str(tier.up_to), str(tier.maintenance), int(tier.max_leverage)) for tier in listing.tiers])
    return Contract(
        symbol=listing.symbol,
        base=base,
        quote=COIN,
        contract_size=listing.contract_size,
        tick=listing.tick,
        step=listing.step,
        min_size=listing.min_size,
        max_limit_size=listing.max_market_size,
        max_market_size=listing.max_market_size,
        max_leverage=tiers[0].max_leverage,
        taker_fee=listing.taker_fee,
        maker_fee=listing.taker_fee,
        tiers=tiers,
    )


def populate(exchange: Exchange, case: Case, now_ms: int) -> None:
    """Open what is held from the start, rest the entries, and bring the account to its equity."""
    try:
        for holding in case.holdings:
            if case.step_at(holding.opens_s) == 0:
                hold(exchange, case, holding, 0, now_ms)
        for track in case.tracks:
            if track.kind is TrackKind.MARK:
                move(exchange, case, track.of, 0, now_ms)
        for entry in case.entering:
            if case.step_at(entry.placed_s) == 0:
                rest(exchange, case.owner, entry, now_ms)
        exchange.grant(case.owner.name, case.owner.equity - exchange.query.balance(case.owner.name).equity, now_ms)
    except Refused as refusal:
        raise refused(case, refusal) from None


def refused(case: Case, refusal: Refused) -> ConfigurationError:
    """The exchange can't hold what the case says: a fault of the case."""
    return ConfigurationError(f"case {case.name!r} (line {case.line}): the exchange refuses what it says: {refusal}")


def hold(exchange: Exchange, case: Case, holding: Holding, number: int, now_ms: int) -> None:
    """Open a position at its entry: the market stands there for the moment of its fill."""
    owner, side = case.owner.name, asked.PositionSide(holding.side.value)
    move(exchange, case, holding.symbol, number, now_ms, at=holding.entry)
    exchange.set_leverage(
        owner,
        holding.symbol,
        now_ms,
        leverage=holding.leverage,
        margin_mode=asked.MarginMode(holding.margin_mode.value),
        side=side
        if holding.margin_mode is MarginMode.ISOLATED and case.owner.position_mode is PositionMode.HEDGE
        else None,
    )
    buys = hand(holding.side, closes=False)
    exchange.place(owner, asked.OrderRequest(symbol=holding.symbol, side=buys, size=holding.quantity), now_ms)
    view = exchange.query.position(owner, holding.symbol, side)
    if holding.margin is not None and view is not None and holding.margin != view.margin:
        exchange.add_margin(owner, holding.symbol, side, holding.margin - view.margin, now_ms)


def rest(exchange: Exchange, owner: Owner, entry: Entering, now_ms: int) -> None:
    order = asked.OrderRequest(
        symbol=entry.symbol,
        side=hand(entry.side, closes=False),
        size=entry.quantity,
        kind=asked.OrderKind.LIMIT,
        price=entry.price,
    )
    exchange.place(owner.name, order, now_ms)


def move(exchange: Exchange, case: Case, symbol: str, number: int, now_ms: int, *, at: Decimal | None = None) -> None:
    """The prices of a step; orders fill at the last price, which is the mark where the case says no other."""
    marks = case.track(TrackKind.MARK, symbol)
    mark = at if marks is None else marks.number_at(number)
    if mark is None:
        return
    indexes, lasts = case.track(TrackKind.INDEX, symbol), case.track(TrackKind.LAST, symbol)
    index = mark if indexes is None else indexes.number_at(number)
    last = at or (mark if lasts is None else lasts.number_at(number)) or mark
    exchange.move(symbol, mark=mark, index=index, last=last, bid=last, ask=last, now_ms=now_ms)
