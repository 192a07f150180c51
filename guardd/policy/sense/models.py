"""Model positions: what a policy is judged on before it meets a real one.

A position of the leverage asked, just opened, on an instrument like the large ones, with the margin tiers that such have. In
cross its whole margin balance is notional ÷ leverage: what the leverage says is what stands behind it. The states are made by
the fold, from the events that a venue's adapter would bring, and judged by the daemon's own evaluator.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache
from typing import Final

from msgspec import Struct

from guardd.model.account import Balance
from guardd.model.capabilities import Capabilities
from guardd.model.event import BalanceRead, InstrumentsRead, MarkSeen, PositionsRead
from guardd.model.fold import fold
from guardd.model.instant import Instant
from guardd.model.instrument import Instrument, MarginTier
from guardd.model.names import AccountName, MarginMode, PositionKey, Side, Symbol, VenueName
from guardd.model.position import Position
from guardd.model.reading import Absent, Reading, is_value
from guardd.model.state import AccountState
from guardd.policy.conditions import matches
from guardd.policy.language import Limits, Policy, PolicyRule
from guardd.policy.view import View, views
from guardd.risk.tiers import maintenance_of

LEVERAGES: Final = (Decimal(5), Decimal(20), Decimal(50))
"""What is asked about unless somebody asks otherwise."""
NOW: Final = Instant(10**15, 1_767_225_600_000)
ENTRY: Final = Decimal(60_000)
QUANTITY: Final = Decimal(200)
SPREAD: Final = Decimal("0.0005")
"""Between bid and ask, as a share: of alt-coin perpetuals in quiet hours; that of BTC is far less."""
ORDINARY_MOVE: Final = Decimal("0.005")
"""What a market in motion goes within the second that a feed, a decision and an order may take."""
CRASH_MOVE: Final = Decimal("0.07")
"""In one second: alt-coin perpetuals on 2025-10-10, while feeds stalled for seven (architecture, "What carries the design", 1)."""
CRASH_IN_TEN: Final = Decimal("0.2")
"""In ten seconds, the same day."""
SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "BTCUSDC", "BTCUSD", "BTCPERP")
CAN_ALL: Final = Capabilities(
    whole_position_protection=True,
    sized_protection=True,
    plan_protection=True,
    modify_protection=True,
    several_whole_stops=True,
    client_id_on_plan=True,
    add_margin=True,
    set_leverage=True,
    top_up=True,
    cross_liquidation_price=True,
    lookup_delay_s=0.0,
)
NOTHING: Final = Policy(version=1, limits=Limits(), rules=())
"""A policy of no rules: what a position is without one."""
_RATES: Final = (
    ("0", "0.004", "125"),
    ("50000", "0.005", "100"),
    ("500000", "0.01", "50"),
    ("2500000", "0.025", "20"),
    ("10000000", "0.05", "10"),
    ("50000000", "0.1", "5"),
)


class Subject(Struct, frozen=True, kw_only=True):
    """Whose position it is: an account at a venue."""

    account: str = "main"
    venue: str = "bitmart"
    families: tuple[tuple[str, Capabilities], ...] = ()
    """What it can, by the name of each kind of account that it may be; empty: nothing is known."""


class Bench(Struct, frozen=True, kw_only=True):
    """What to judge on: which leverages, and whose accounts; no subjects: any that the policy's rules are about."""

    leverages: tuple[Decimal, ...] = LEVERAGES
    subjects: tuple[Subject, ...] = ()


def bench_of(states: Iterable[AccountState]) -> Bench:
    """The accounts as they are, with the leverages of what they hold; the usual ones where nothing is held."""
    known = tuple(states)
    held = {held.position.leverage for state in known for held in state.held.values()}
    subjects = (
        Subject(account=state.name, venue=state.venue, families=((state.family, state.capabilities),))
        for state in known
    )
    return Bench(
        leverages=tuple(sorted(each for each in held if is_value(each) and each > 0)) or LEVERAGES,
        subjects=tuple(subjects),
    )


class Case(Struct, frozen=True, kw_only=True):
    """One model position."""

    leverage: Decimal
    side: Side
    margin_mode: MarginMode
    subject: Subject
    symbol: Symbol

    @property
    def words(self) -> str:
        return f"{self.leverage:f}× {self.margin_mode} {self.side}"


class Modelled(Struct, frozen=True, kw_only=True):
    """A model position under a policy."""

    case: Case
    state: AccountState
    view: View


def modelled(policy: Policy, bench: Bench) -> tuple[Modelled, ...]:
    """Every case that is asked about, by leverage, margin mode and side; each rule is about some of them, if it can be."""
    found: list[Modelled] = []
    for subject, symbol in _whose(policy.rules, bench.subjects):
        for case in _cases(bench.leverages, subject, symbol):
            state = _state(case)
            found.extend(Modelled(case=case, state=state, view=view) for view in views(policy, state, NOW))
    return tuple(found)


def model_of(policy: Policy, case: Case) -> Modelled:
    """One case under this policy."""
    state = _state(case)
    return Modelled(case=case, state=state, view=views(policy, state, NOW)[0])


def _cases(leverages: Iterable[Decimal], subject: Subject, symbol: Symbol) -> Iterator[Case]:
    for leverage in leverages:
        for mode in (MarginMode.ISOLATED, MarginMode.CROSS):
            for side in Side:
                yield Case(leverage=leverage, side=side, margin_mode=mode, subject=subject, symbol=symbol)


# Whose


def _whose(rules: tuple[PolicyRule, ...], subjects: tuple[Subject, ...]) -> list[tuple[Subject, Symbol]]:
    """The first account with the first symbol, and for each rule that is about none so far one that it is about."""
    first = subjects[0] if subjects else Subject()
    found = [(first, Symbol(SYMBOLS[0]))]
    for rule in rules:
        if any(_about(rule, subject, symbol) for subject, symbol in found):
            continue
        known = subjects or (
            Subject(account=rule.match.account or first.account, venue=rule.match.venue or first.venue),
        )
        symbols = [*SYMBOLS, *map(_named_by, rule.match.symbols)]
        fits = ((each, Symbol(symbol)) for each in known for symbol in symbols if _about(rule, each, Symbol(symbol)))
        found.extend(one for one in [next(fits, None)] if one is not None)
    return found


def _about(rule: PolicyRule, subject: Subject, symbol: Symbol) -> bool:
    model = _on_any_side(subject, symbol, rule)
    return matches(rule.match, model.view.risk, VenueName(subject.venue))


def _on_any_side(subject: Subject, symbol: Symbol, rule: PolicyRule) -> Modelled:
    case = Case(
        leverage=LEVERAGES[0],
        side=rule.match.side or Side.LONG,
        margin_mode=rule.match.margin_mode or MarginMode.ISOLATED,
        subject=subject,
        symbol=symbol,
    )
    return model_of(NOTHING, case)


def _named_by(pattern: str) -> str:
    """A symbol that a pattern is about."""
    return re.sub(r"\[(.).*?\]", r"\1", pattern).replace("*", "").replace("?", "X") or SYMBOLS[0]


# The state


def _state(case: Case) -> AccountState:
    """The venue's own liquidation price is the one that our sums give: on a model the two don't differ."""
    ours = _view(case, Absent.UNKNOWN).on.near_liquidation
    return _told(case, ours)


def _view(case: Case, liquidation: Reading) -> View:
    return views(NOTHING, _told(case, liquidation), NOW)[0]


def _told(case: Case, liquidation: Reading) -> AccountState:
    subject = case.subject
    state = AccountState(
        name=AccountName(subject.account),
        venue=VenueName(subject.venue),
        capabilities=CAN_ALL,
    )
    position = _position(case, liquidation)
    behind = ENTRY * QUANTITY * _instrument(case.symbol).contract_size / case.leverage
    balance = Balance(
        currency="USDT",
        equity=behind,
        available=Decimal(0),
        frozen=Decimal(0),
        position_margin=behind,
        unrealized_pnl=Decimal(0),
    )
    fold(state, InstrumentsRead(at=NOW, instruments=(_instrument(case.symbol),)))
    fold(state, MarkSeen(case.symbol, ENTRY, NOW))
    fold(state, PositionsRead(started=NOW, at=NOW, positions=(position,)))
    fold(state, BalanceRead(at=NOW, balances=(balance,)))
    return state


def _position(case: Case, liquidation: Reading) -> Position:
    instrument = _instrument(case.symbol)
    notional = instrument.notional(QUANTITY, ENTRY)
    return Position(
        key=PositionKey(AccountName(case.subject.account), case.symbol, case.side),
        quantity=QUANTITY,
        entry_price=ENTRY,
        margin_mode=case.margin_mode,
        leverage=case.leverage,
        margin=notional / case.leverage,
        maintenance_margin=maintenance_of(instrument, notional),
        liquidation_price=liquidation,
        mark_price=ENTRY,
        notional=notional,
        unrealized_pnl=Decimal(0),
        opened_ms=NOW.wall_ms,
        closed_quantity=Decimal(0),
        venue_ms=NOW.wall_ms,
    )


@cache
def _instrument(symbol: Symbol) -> Instrument:
    return Instrument(
        symbol=symbol,
        base=symbol.removesuffix("USDT"),
        settle="USDT",
        contract_size=Decimal("0.001"),
        tick=Decimal("0.1"),
        step=Decimal(1),
        min_size=Decimal(1),
        max_limit_size=Decimal(1_000_000),
        max_market_size=Decimal(1_000_000),
        max_leverage=Decimal(125),
        taker_fee=Decimal("0.0006"),
        tiers=_tiers(),
    )


def _tiers() -> tuple[MarginTier, ...]:
    """Each deduction keeps maintenance continuous where one tier ends and the next begins."""
    tiers: list[MarginTier] = []
    for index, (floor, rate, leverage) in enumerate(_RATES):
        cap = Decimal(_RATES[index + 1][0]) if index + 1 < len(_RATES) else Decimal("1e12")
        below = tiers[-1] if tiers else None
        deduction = Decimal(0) if below is None else below.deduction + Decimal(floor) * (Decimal(rate) - below.rate)
        tiers.append(
            MarginTier(
                floor=Decimal(floor),
                cap=cap,
                rate=Decimal(rate),
                deduction=deduction,
                max_leverage=Decimal(leverage),
            )
        )
    return tuple(tiers)
