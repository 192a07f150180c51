"""The place of Bitget's classic accounts in the contract suite, and what both families have in common."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from guardd.model.names import Symbol
from guardd.model.outcome import Reason
from guardd.simulator.dialects.bitget.desk import Options
from guardd.simulator.dialects.bitget.dialect import BitgetDialect
from guardd.simulator.dialects.bitget.products import CoinPosition
from guardd.simulator.dialects.bitget_common.auth import Family
from guardd.simulator.dialects.bitget_common.listing import bitget_contracts, bitget_prices, bitget_terms
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import FaultKind, Faults
from guardd.simulator.orders import MarginMode, PositionMode
from guardd.simulator.records import AccountKind
from guardd.simulator.wire import Dialect
from guardd.venues.bitget import LIMITS, Access, BitgetVenue, Credentials, hosts_for
from guardd.venues.bitget.operator import BitgetOperator
from guardd.venues.limiter import LimiterRegistry
from tests.changed import replace
from tests.venues.contract.bench import Account, Adapter, Bench, Denial, Line, Trait, Wiring
from tests.venues.contract.stand import UID

BTC, ETH, SECOND, INVERSE = Symbol("BTCUSDT"), Symbol("ETHUSDT"), Symbol("BTCPERP"), Symbol("BTCUSD")
TICKER_INTERVAL_MS: Final = 100
LATE_MS: Final = 400
PRODUCT_TYPES: Final = ("USDT-FUTURES", "USDC-FUTURES", "COIN-FUTURES")


def access(wiring: Wiring) -> Access:
    hosts = hosts_for("demo", rest_url=wiring.rest_url, stream_url=wiring.stream_url)
    credentials = Credentials(key=wiring.keys.key, secret=wiring.keys.secret, passphrase=wiring.keys.passphrase)
    return Access(
        account=wiring.account,
        hosts=hosts,
        credentials=credentials,
        demo=False,
        product_types=PRODUCT_TYPES,
        channel_code=None,
        clock=wiring.clock,
        limiter=LimiterRegistry(wiring.clock, wiring.random).limiter(
            host=hosts.rest, credential=credentials.key, limits=LIMITS, share=wiring.share
        ),
        wire=wiring.wire,
        random=wiring.random,
        listener=wiring.listener,
    )


def adapter(wiring: Wiring) -> Adapter:
    return Adapter(venue=BitgetVenue(access(wiring)), operator=BitgetOperator(access(wiring)))


def opener(kind: AccountKind) -> Callable[[Exchange, Account], None]:
    """Accounts with money in both margin coins."""

    def opened(exchange: Exchange, account: Account) -> None:
        exchange.add_account(
            account.uid,
            deposit=account.deposit,
            spot=account.spot,
            position_mode=PositionMode.HEDGE if account.hedge else PositionMode.ONE_WAY,
            margin_mode=MarginMode.ISOLATED if account.isolated else MarginMode.CROSS,
            leverage=account.leverage,
            kind=kind,
            deposits={"USDC": account.deposit},
        )

    return opened


def late_position(exchange: Exchange) -> None:
    exchange.set_terms(replace(exchange.terms, plans_blind_ms=LATE_MS), exchange.now_ms)


def dialect(exchange: Exchange, faults: Faults) -> Dialect:
    return BitgetDialect(exchange, faults=faults, options=Options(ticker_interval_ms=TICKER_INTERVAL_MS))


def upgrade(dialect: Dialect) -> None:
    assert isinstance(dialect, BitgetDialect)
    dialect.keyring.move(UID, Family.UNIFIED)


def hold_inverse(dialect: Dialect) -> None:
    assert isinstance(dialect, BitgetDialect)
    dialect.hold_coin_position(UID, CoinPosition())


_GONE: Final = frozenset({Reason.POSITION_GONE, Reason.SIZE_ABOVE_POSITION})
DENIALS: Final = {
    Denial.LARGER_THAN_HELD: frozenset({Reason.SIZE_ABOVE_POSITION}),
    Denial.NOTHING_HELD: _GONE,
    Denial.WRONG_SIDE: _GONE,
    Denial.VOLUME_HELD_BY_ORDERS: frozenset({Reason.SIZE_ABOVE_POSITION}),
    Denial.ABOVE_MARKET_MAXIMUM: frozenset({Reason.SIZE_BOUNDS}),
    Denial.BELOW_MINIMUM: frozenset({Reason.SIZE_BOUNDS, Reason.PRECISION}),
    # 40808 names a size off the step in its text alone, which decides nothing (Bitget reference, 15).
    Denial.OFF_GRID: frozenset({Reason.PRECISION, Reason.INVALID}),
    Denial.STOP_WITHOUT_POSITION: _GONE,
    Denial.STOP_LARGER_THAN_HELD: frozenset({Reason.SIZE_ABOVE_POSITION}),
    Denial.STOP_PASSED: frozenset({Reason.TRIGGER_PASSED}),
    Denial.STOP_TWICE: frozenset({Reason.PROTECTION_EXISTS}),
    Denial.STOP_REPEATED: frozenset({Reason.DUPLICATE_CLIENT_ID}),
    Denial.UNKNOWN_ORDER: frozenset({Reason.ORDER_GONE}),
    Denial.LEVERAGE_OUT_OF_RANGE: frozenset({Reason.LEVERAGE_CONFLICT}),
    Denial.PAUSED_CONTRACT: frozenset({Reason.INSTRUMENT_PAUSED}),
}
TURNED_AWAY: Final = {
    FaultKind.CLOUDFLARE_403: Reason.EDGE_BLOCKED,
    FaultKind.CLOUDFLARE_1010: Reason.EDGE_BLOCKED,
    FaultKind.CLOUDFLARE_503: None,
    FaultKind.TOO_MANY: Reason.RATE_LIMITED,
    FaultKind.UNAVAILABLE: None,  # 40725 is ambiguous (Bitget reference, 15.1)
    FaultKind.ERROR_HTML: None,
    FaultKind.MAINTENANCE: Reason.MAINTENANCE,
    FaultKind.TIMEOUT_BEFORE: None,
    FaultKind.TIMEOUT_AFTER: None,
}
TRAITS: Final = frozenset(
    {
        Trait.SECOND_SETTLEMENT_COIN,
        Trait.UNGUARDED_CONTRACT,
        Trait.LATE_POSITION,
        Trait.ACKNOWLEDGES_WITHOUT_ID,
        Trait.CHANGES_FAMILY,
    }
)

BENCH: Final = Bench(
    name="bitget",
    venue="bitget",
    family="classic",
    adapter=adapter,
    dialect=dialect,
    contracts=bitget_contracts,
    prices=bitget_prices,
    terms=bitget_terms,
    open_account=opener(AccountKind.CLASSIC),
    settle="USDT",
    btc=BTC,
    eth=ETH,
    unknown=Symbol("NOPEUSDT"),
    hundredth={BTC: Decimal("0.01"), ETH: Decimal("0.01"), SECOND: Decimal("0.01"), INVERSE: Decimal("0.01")},
    paths={
        Line.CLOSE: ("*/order/place-order",),
        Line.STOP: ("*/order/place-tpsl-order", "*/order/place-plan-order"),
        Line.MOVE: ("*/order/modify-tpsl-order", "*/order/modify-plan-order"),
        Line.CANCEL: ("*/order/cancel-order", "*/order/cancel-plan-order"),
        Line.LEVERAGE: ("*/account/set-leverage",),
        Line.MARGIN: ("*/account/set-margin",),
        Line.TRANSFER: ("*/wallet/transfer",),
        Line.POSITIONS: ("*/position/all-position",),
        Line.BALANCES: ("*/account/accounts",),
        Line.RESTING: ("*/order/orders-pending",),
        Line.PLANS: ("*/order/orders-plan-pending",),
        Line.LOOK_UP: ("*/order/detail", "*/order/orders-p*", "*/order/orders-history", "*/order/orders-plan-history"),
        Line.MARK: ("*/market/symbol-price", "*/market/ticker*"),
        Line.PUBLIC_SOCKET: ("/v2/ws/public",),
        Line.PRIVATE_SOCKET: ("/v2/ws/private",),
        Line.PRIVATE_PUSHES: ("positions:*", "orders:*", "orders-algo:*", "account:*"),
        Line.PRICE_PUSHES: ("ticker:*",),
    },
    denials=DENIALS,
    turned_away=TURNED_AWAY,
    traits=TRAITS,
    second_coin=SECOND,
    second_settle="USDC",
    unguarded=INVERSE,
    hold_unguarded=hold_inverse,
    shows_late=(
        ("*/order/detail", FaultKind.REFUSE, 40768),
        ("*/order/orders-p*", FaultKind.EMPTY_READ, None),
        ("*/order/orders-history", FaultKind.EMPTY_READ, None),
        ("*/order/orders-plan-history", FaultKind.EMPTY_READ, None),
    ),
    late_position=late_position,
    change_family=upgrade,
)
