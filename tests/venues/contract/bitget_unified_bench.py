"""The place of Bitget's unified accounts in the contract suite."""

from decimal import Decimal
from typing import Final

from guardd.model.names import Symbol
from guardd.simulator.dialects.bitget_common.auth import Family
from guardd.simulator.dialects.bitget_unified.coin import CoinPosition
from guardd.simulator.dialects.bitget_unified.desk import Options
from guardd.simulator.dialects.bitget_unified.dialect import BitgetUnifiedDialect, unified_terms
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import FaultKind, Faults
from guardd.simulator.orders import PositionSide
from guardd.simulator.records import AccountKind
from guardd.simulator.terms import Terms
from guardd.simulator.wire import Dialect
from tests.changed import replace
from tests.venues.contract import bitget_bench
from tests.venues.contract.bench import Line, Trait
from tests.venues.contract.stand import UID

INVERSE: Final = Symbol("BTCUSD_CM")
LINEAR: Final = {
    symbol: size for symbol, size in bitget_bench.BENCH.hundredth.items() if symbol != bitget_bench.INVERSE
}


def dialect(exchange: Exchange, faults: Faults) -> Dialect:
    options = Options(ticker_interval_ms=bitget_bench.TICKER_INTERVAL_MS)
    return BitgetUnifiedDialect(exchange, faults=faults, options=options)


def terms() -> Terms:
    """A stop right after a fill is a case of its own."""
    return replace(unified_terms(), plans_blind_ms=0)


def hold_inverse(dialect: Dialect) -> None:
    assert isinstance(dialect, BitgetUnifiedDialect)
    held = CoinPosition(symbol=INVERSE, side=PositionSide.LONG, size=Decimal("0.5"), entry=Decimal(90_000))
    dialect.hold_coin_position(UID, held)


def switch_back(dialect: Dialect) -> None:
    assert isinstance(dialect, BitgetUnifiedDialect)
    dialect.set_family(UID, Family.CLASSIC)


BENCH: Final = replace(
    bitget_bench.BENCH,
    name="bitget-unified",
    family="unified",
    dialect=dialect,
    terms=terms,
    open_account=bitget_bench.opener(AccountKind.UNIFIED),
    paths={
        Line.CLOSE: ("*/trade/place-order",),
        Line.STOP: ("*/trade/place-strategy-order",),
        Line.MOVE: ("*/trade/modify-strategy-order",),
        Line.CANCEL: ("*/trade/cancel-order", "*/trade/cancel-strategy-order"),
        Line.LEVERAGE: ("*/account/set-leverage",),
        Line.MARGIN: ("*/account/set-margin",),
        Line.TRANSFER: ("*/account/transfer",),
        Line.POSITIONS: ("*/position/current-position",),
        Line.BALANCES: ("*/account/assets",),
        Line.RESTING: ("*/trade/unfilled-orders",),
        Line.PLANS: ("*/trade/unfilled-strategy-orders",),
        Line.LOOK_UP: (
            "*/trade/order-info",
            "*/trade/unfilled-*",
            "*/trade/history-*",
            "*/trade/strategy-sub-orders",
        ),
        Line.MARK: ("*/market/tickers", "*/position/current-position"),
        Line.PUBLIC_SOCKET: ("/v3/ws/public",),
        Line.PRIVATE_SOCKET: ("/v3/ws/private",),
        Line.PRIVATE_PUSHES: ("position:*", "order:*", "strategy-order:*", "account:*"),
        Line.PRICE_PUSHES: ("ticker:*",),
    },
    denials=bitget_bench.DENIALS,
    traits=bitget_bench.TRAITS | {Trait.POOLED_BALANCE, Trait.FORM_IS_NOT_LISTED},
    hundredth={**LINEAR, INVERSE: Decimal("0.01")},
    shows_late=(
        ("*/trade/order-info", FaultKind.REFUSE, 25204),
        ("*/trade/unfilled-*", FaultKind.EMPTY_READ, None),
        ("*/trade/history-*", FaultKind.EMPTY_READ, None),
    ),
    unguarded=INVERSE,
    hold_unguarded=hold_inverse,
    change_family=switch_back,
)
