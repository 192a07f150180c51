"""`guardd account …`: an operator's single steps. The daemon can't take them: it never opens and moves no money (I30)."""

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import urlsplit

import typer

from guardd.cli.exits import Exit, guarded
from guardd.cli.given import AccountOption, ConfigOption, ConfirmOption, JsonOption
from guardd.cli.holdings import holdings_json, print_holdings
from guardd.cli.show import decimal_of, print_json, print_line
from guardd.cli.steps import Desk, desk_of, refuse, take
from guardd.config import AccountSettings, Environment, is_loopback
from guardd.model.names import MarginMode, PositionKey, PositionMode, Side, Symbol
from guardd.model.state import AccountState

group = typer.Typer(no_args_is_help=True, help="Single steps of an operator; each asks for CONFIRM.")


class Wallet(StrEnum):
    FUTURES = "futures"
    SPOT = "spot"


class ModeWord(StrEnum):
    HEDGE = "hedge"
    ONE_WAY = "one-way"


class Scenario(StrEnum):
    """The four orders of the venue's guide."""

    OPEN_LONG = "open-long"
    OPEN_SHORT = "open-short"
    CLOSE_LONG = "close-long"
    CLOSE_SHORT = "close-short"

    @property
    def opens(self) -> bool:
        return self in (Scenario.OPEN_LONG, Scenario.OPEN_SHORT)

    @property
    def side(self) -> Side:
        return Side.LONG if self in (Scenario.OPEN_LONG, Scenario.CLOSE_LONG) else Side.SHORT


def _decimal(text: str) -> Decimal:
    """A number above zero, exactly as it was typed (I19)."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value <= 0:
        raise typer.BadParameter(f"found {text!r}, expected a number above zero")
    return value


SymbolArgument: TypeAlias = Annotated[str, typer.Argument(metavar="SYMBOL", help="The contract, such as BTCUSDT.")]
Number: Final = partial(typer.Option, parser=_decimal, metavar="NUMBER")
Body: TypeAlias = Callable[[Desk], Coroutine[Any, Any, int]]


def _at_desk(config: Path | None, account: str | None, body: Body) -> None:
    async def run() -> int:
        async with desk_of(config, account) as desk:
            return await body(desk)

    guarded(lambda: asyncio.run(run()))


@group.command()
def positions(config: ConfigOption = None, account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Balance, positions with both liquidation prices, and orders, read from the venue now."""

    async def body(desk: Desk) -> int:
        await desk.window.read()
        state, now = desk.window.state, desk.window.clock.now()
        if as_json:
            print_json({"account": state.name, **holdings_json(state, now)})
        else:
            print_holdings(state, now)
        return Exit.DONE

    _at_desk(config, account, body)


@group.command()
def leverage(
    symbol: SymbolArgument,
    to: Annotated[Decimal | None, Number("--to", help="The new leverage; without it the present one is shown.")] = None,
    config: ConfigOption = None,
    account: AccountOption = None,
    confirm: ConfirmOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or set a contract's leverage. The margin mode stays as it is."""
    _at_desk(config, account, lambda desk: _leverage(desk, Symbol(symbol), to, confirm, as_json=as_json))


@group.command("margin-mode")
def margin_mode(
    symbol: SymbolArgument,
    to: Annotated[
        MarginMode | None, typer.Option("--to", help="The new mode; without it the present one is shown.")
    ] = None,
    config: ConfigOption = None,
    account: AccountOption = None,
    confirm: ConfirmOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or set a contract's margin mode. The leverage stays; refused while it has positions or orders."""
    _at_desk(config, account, lambda desk: _margin_mode(desk, Symbol(symbol), to, confirm, as_json=as_json))


@group.command("position-mode")
def position_mode(
    to: Annotated[
        ModeWord | None, typer.Option("--to", help="The new mode; without it the present one is shown.")
    ] = None,
    config: ConfigOption = None,
    account: AccountOption = None,
    confirm: ConfirmOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or set the account's position mode. Refused while any position or order is open."""
    _at_desk(config, account, lambda desk: _position_mode(desk, to, confirm, as_json=as_json))


@group.command()
def transfer(
    amount: Annotated[Decimal, typer.Argument(parser=_decimal, metavar="AMOUNT", help="In USDT.")],
    to: Annotated[Wallet, typer.Option("--to", help="The wallet that receives it.")],
    config: ConfigOption = None,
    account: AccountOption = None,
    confirm: ConfirmOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move USDT between the spot and the futures wallet. Never repeated by itself, whatever the answer."""

    async def body(desk: Desk) -> int:
        await desk.window.read()
        what = f"transfer {decimal_of(amount)} USDT to {to}"
        into_futures = to is Wallet.FUTURES
        step = partial(desk.operator.transfer, amount=amount, into_futures=into_futures)
        return await take(desk, what, step, confirm=confirm, as_json=as_json)

    _at_desk(config, account, body)


@group.command()
def order(
    scenario: Annotated[Scenario, typer.Argument(help="Which of the four orders.")],
    symbol: SymbolArgument,
    size: Annotated[Decimal, typer.Argument(parser=_decimal, metavar="CONTRACTS", help="How many contracts.")],
    price: Annotated[
        Decimal | None, Number("--price", help="Limit price (a close: at once or not at all); without it market.")
    ] = None,
    leverage: Annotated[Decimal | None, Number("--leverage", help="When opening; default: the live one.")] = None,
    margin_mode: Annotated[MarginMode | None, typer.Option(help="When opening; default: the live one.")] = None,
    config: ConfigOption = None,
    account: AccountOption = None,
    confirm: ConfirmOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open or close by a single order: in the venue's demo environment and on the simulator only."""

    async def body(desk: Desk) -> int:
        if not may_practise(desk.account):
            return refuse(f"{desk.account.name} is a live account: orders are for environment demo and the simulator")
        await desk.window.read(Symbol(symbol))
        if Symbol(symbol) not in desk.window.state.instruments:
            return refuse(f"{symbol}: no linear perpetual of this venue")
        key = PositionKey(desk.window.state.name, Symbol(symbol), scenario.side)
        at = f"limit {decimal_of(price)}" if price is not None else "market"
        what = f"{scenario} {decimal_of(size)} contracts of {symbol} at {at}"
        if not scenario.opens:
            close = partial(desk.operator.close_position, key, size=size, price=price)
            return await take(desk, what, close, confirm=confirm, as_json=as_json)
        live = await desk.live(key.symbol)
        if live is None and (leverage is None or margin_mode is None):
            return refuse(
                f"the venue doesn't tell leverage and margin mode of {symbol}: give --leverage, --margin-mode"
            )
        live_leverage, live_mode = live if live is not None else (Decimal(1), MarginMode.ISOLATED)
        taken, mode = leverage or live_leverage, margin_mode or live_mode
        step = partial(
            desk.operator.open_position,
            key,
            size=size,
            price=price,
            leverage=taken,
            isolated=mode is MarginMode.ISOLATED,
        )
        return await take(desk, f"{what}, {decimal_of(taken)}x {mode}", step, confirm=confirm, as_json=as_json)

    _at_desk(config, account, body)


def may_practise(account: AccountSettings) -> bool:
    """True where an order opens nothing real: the venue's demo hosts, and a simulator on this machine."""
    host = urlsplit(account.rest_url or "").hostname or ""
    return account.environment is Environment.DEMO or is_loopback(host)


async def _leverage(desk: Desk, symbol: Symbol, to: Decimal | None, confirm: str | None, *, as_json: bool) -> int:
    live = await desk.live(symbol)
    if live is None:
        return refuse(f"{symbol}: the venue doesn't tell its leverage and margin mode")
    now, mode = live
    if to is None:
        return _show(as_json, {"symbol": symbol, "leverage": decimal_of(now), "margin_mode": mode.value})
    await desk.window.read(symbol)
    instrument = desk.window.state.instruments.get(symbol)
    if instrument is not None and to > instrument.max_leverage:
        return refuse(f"{symbol}: found {decimal_of(to)}x, the contract allows {decimal_of(instrument.max_leverage)}x")
    what = f"set the leverage of {symbol} from {decimal_of(now)}x to {decimal_of(to)}x ({mode} margin stays)"
    step = partial(desk.operator.set_leverage, symbol, leverage=to, isolated=mode is MarginMode.ISOLATED)
    return await take(desk, what, step, confirm=confirm, as_json=as_json, about=symbol)


async def _margin_mode(desk: Desk, symbol: Symbol, to: MarginMode | None, confirm: str | None, *, as_json: bool) -> int:
    live = await desk.live(symbol)
    if live is None:
        return refuse(f"{symbol}: the venue doesn't tell its leverage and margin mode")
    now, mode = live
    if to is None:
        return _show(as_json, {"symbol": symbol, "leverage": decimal_of(now), "margin_mode": mode.value})
    await desk.window.read(symbol)
    if in_the_way := _open_things(desk.window.state, symbol):
        return refuse(f"{symbol}: a switch of margin mode needs nothing open there, found {in_the_way}")
    what = f"set the margin mode of {symbol} from {mode} to {to} ({decimal_of(now)}x stays)"
    step = partial(desk.operator.set_leverage, symbol, leverage=now, isolated=to is MarginMode.ISOLATED)
    return await take(desk, what, step, confirm=confirm, as_json=as_json, about=symbol)


async def _position_mode(desk: Desk, to: ModeWord | None, confirm: str | None, *, as_json: bool) -> int:
    await desk.window.read()
    state = desk.window.state
    now = state.position_mode.value.replace("_", "-") if state.position_mode is not None else "unknown"
    if to is None:
        return _show(as_json, {"position_mode": now})
    if in_the_way := _open_things(state, None):
        return refuse(f"a switch of position mode needs nothing open on the account, found {in_the_way}")
    wanted = PositionMode.HEDGE if to is ModeWord.HEDGE else PositionMode.ONE_WAY
    what = f"set the position mode from {now} to {to}"
    return await take(desk, what, partial(desk.operator.set_position_mode, wanted), confirm=confirm, as_json=as_json)


def _open_things(state: AccountState, symbol: Symbol | None) -> str:
    """Positions and orders of a contract, or of the account, in words; empty when there are none."""
    counts = (
        (sum(symbol in (None, key.symbol) for key in state.held), "position(s)"),
        (sum(symbol in (None, each.key.symbol) for each in state.resting.values()), "order(s)"),
        (sum(symbol in (None, each.key.symbol) for each in state.plans.values()), "plan order(s)"),
    )
    return ", ".join(f"{count} {what}" for count, what in counts if count)


def _show(as_json: bool, facts: dict[str, str]) -> int:
    if as_json:
        print_json(facts)
    else:
        print_line(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items()))
    return Exit.DONE
