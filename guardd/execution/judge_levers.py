"""May more be put behind a position, now, with these figures? Part of `guardd.execution.approve` (I16, I17). Pure."""

from decimal import Decimal
from typing import assert_never

from msgspec.structs import replace

from guardd.execution.proposal import Leash
from guardd.execution.refusal import No, RefusalKind
from guardd.execution.windows import CLOSING, topped_up
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument
from guardd.model.intent import AddMargin, SetLeverage, TransferToFutures
from guardd.model.names import MarginMode
from guardd.model.reading import is_value
from guardd.model.state import AccountState, Held
from guardd.risk.strengthened import initial_margin_beyond


def judge_lever(
    write: SetLeverage | AddMargin | TransferToFutures,
    held: Held,
    instrument: Instrument,
    state: AccountState,
    leash: Leash,
    now: Instant,
) -> SetLeverage | AddMargin | TransferToFutures | No:
    if any(pending.intent.action in CLOSING for pending in state.in_flight(write.key)):
        return No(kind=RefusalKind.IN_FLIGHT, why="I16: the position is being closed")
    if held.missing_since is not None or held.close_seen is not None:
        return No(kind=RefusalKind.UNCONFIRMED, why="I16: the position may be gone already")
    match write:
        case SetLeverage():
            return _judge_leverage(write, held, instrument, state)
        case AddMargin():
            return _judge_margin(write, held, instrument, state, leash, now)
        case TransferToFutures():
            return _judge_transfer(write, held, instrument, state, leash, now)
        case _:
            assert_never(write)


def _judge_leverage(write: SetLeverage, held: Held, instrument: Instrument, state: AccountState) -> SetLeverage | No:
    if not state.capabilities.set_leverage:
        return No(kind=RefusalKind.UNABLE, why="this venue sets no leverage")
    leverage = held.position.leverage
    if not is_value(leverage) or write.leverage >= leverage or write.leverage < 1:
        return No(
            kind=RefusalKind.WORSENS, why=f"I17: leverage {leverage} is only ever lowered, not set to {write.leverage}"
        )
    if write.margin_mode is not held.position.margin_mode:
        return No(kind=RefusalKind.UNABLE, why="another margin mode would be a switch, which a guard never makes")
    need = initial_margin_beyond(held.position, instrument, write.leverage)
    return write if not is_value(need) else _beyond_free(need, held, state) or write


def _judge_margin(
    write: AddMargin, held: Held, instrument: Instrument, state: AccountState, leash: Leash, now: Instant
) -> AddMargin | No:
    if not state.capabilities.add_margin:
        return No(kind=RefusalKind.UNABLE, why="this venue has no call that adds margin")
    if held.position.margin_mode is not MarginMode.ISOLATED or held.position.auto_margin:
        why = "margin is added to an isolated position whose own auto-margin is off, and to no other"
        return No(kind=RefusalKind.UNABLE, why=why)
    if any(isinstance(pending.intent.write, AddMargin) for pending in state.in_flight(write.key)):
        return No(kind=RefusalKind.IN_FLIGHT, why="an earlier margin addition to this position isn't settled yet")
    no = (
        _wrong_money(write.amount, write.currency, instrument)
        or _beyond_day(write.amount, state, leash, now)
        or _beyond_free(write.amount, held, state)
    )
    before = held.position.margin
    return no or (replace(write, margin_before=before) if is_value(before) else write)


def _judge_transfer(
    write: TransferToFutures, held: Held, instrument: Instrument, state: AccountState, leash: Leash, now: Instant
) -> TransferToFutures | No:
    """Whether the spot wallet holds as much is looked at by the adapter, right before it is sent, where the venue tells it."""
    if not state.capabilities.top_up:
        return No(kind=RefusalKind.UNABLE, why="this venue has no call that moves money from spot to futures")
    if held.position.margin_mode is not MarginMode.CROSS:
        return No(kind=RefusalKind.UNABLE, why="a transfer puts nothing behind an isolated position")
    if any(isinstance(pending.intent.write, TransferToFutures) for pending in state.pending.values()):
        return No(kind=RefusalKind.IN_FLIGHT, why="an earlier transfer isn't settled yet")
    return (
        _wrong_money(write.amount, write.currency, instrument) or _beyond_day(write.amount, state, leash, now) or write
    )


def _wrong_money(amount: Decimal, currency: str, instrument: Instrument) -> No | None:
    if currency != instrument.settle:
        why = f"{currency} was to be moved for a position that settles in {instrument.settle}"
        return No(kind=RefusalKind.UNABLE, why=why)
    return None if amount > 0 else No(kind=RefusalKind.TOO_SMALL, why=f"an amount of {amount} {currency}")


def _beyond_day(amount: Decimal, state: AccountState, leash: Leash, now: Instant) -> No | None:
    went = topped_up(state, now)
    if went + amount <= leash.top_up_per_day:
        return None
    why = f"top_up_per_day: {went} went in the last 24 hours, {amount} more would pass {leash.top_up_per_day}"
    return No(kind=RefusalKind.LIMIT, why=why)


def _beyond_free(amount: Decimal, held: Held, state: AccountState) -> No | None:
    balance = state.balance_behind(held.key.symbol)
    if balance is not None and amount <= balance.available:
        return None
    free = "what is free isn't known" if balance is None else f"{balance.available} {balance.currency} are free"
    return No(kind=RefusalKind.BALANCE, why=f"I16: it takes {amount:f} and {free}")
