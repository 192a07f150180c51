"""BitMart's place in the contract suite."""

from decimal import Decimal
from typing import Final

from guardd.model.names import Symbol
from guardd.model.outcome import Reason
from guardd.simulator.contracts import default_contracts, default_prices
from guardd.simulator.dialects.bitmart.desk import Options
from guardd.simulator.dialects.bitmart.dialect import BitmartDialect
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import FaultKind, Faults
from guardd.simulator.terms import Terms
from guardd.simulator.wire import Dialect
from guardd.venues.bitmart import LIMITS, Access, BitmartVenue, Credentials, hosts_for
from guardd.venues.bitmart.operator import BitmartOperator
from guardd.venues.limiter import LimiterRegistry
from tests.venues.contract.bench import Adapter, Bench, Denial, Line, Trait, Wiring
from tests.venues.contract.stand import open_account

BTC, ETH = Symbol("BTCUSDT"), Symbol("ETHUSDT")
TICKER_INTERVAL_MS: Final = 100
_GONE: Final = frozenset({Reason.POSITION_GONE, Reason.SIZE_ABOVE_POSITION})


def access(wiring: Wiring) -> Access:
    hosts = hosts_for("demo", rest_url=wiring.rest_url, stream_url=wiring.stream_url)
    credentials = Credentials(key=wiring.keys.key, secret=wiring.keys.secret, memo=wiring.keys.passphrase)
    return Access(
        account=wiring.account,
        hosts=hosts,
        credentials=credentials,
        broker_id=None,
        clock=wiring.clock,
        limiter=LimiterRegistry(wiring.clock, wiring.random).limiter(
            host=hosts.rest, credential=credentials.key, limits=LIMITS, share=wiring.share
        ),
        wire=wiring.wire,
        random=wiring.random,
        listener=wiring.listener,
    )


def adapter(wiring: Wiring) -> Adapter:
    return Adapter(venue=BitmartVenue(access(wiring)), operator=BitmartOperator(access(wiring)))


def dialect(exchange: Exchange, faults: Faults) -> Dialect:
    return BitmartDialect(exchange, keys=(), faults=faults, options=Options(ticker_interval_ms=TICKER_INTERVAL_MS))


BENCH: Final = Bench(
    name="bitmart",
    venue="bitmart",
    family="",
    adapter=adapter,
    dialect=dialect,
    contracts=default_contracts,
    prices=default_prices,
    terms=Terms,
    open_account=open_account,
    settle="USDT",
    btc=BTC,
    eth=ETH,
    unknown=Symbol("NOPEUSDT"),
    hundredth={BTC: Decimal(10), ETH: Decimal(10)},
    paths={
        Line.CLOSE: ("*/submit-order",),
        Line.STOP: ("*/submit-tp-sl-order", "*/submit-plan-order"),
        Line.MOVE: ("*/modify-tp-sl-order", "*/modify-plan-order"),
        Line.CANCEL: ("*/cancel-order", "*/cancel-plan-order"),
        Line.LEVERAGE: ("*/submit-leverage",),
        Line.MARGIN: (),
        Line.TRANSFER: ("*/transfer-contract",),
        Line.POSITIONS: ("*/position-v2", "*/position"),
        Line.BALANCES: ("*/assets-detail",),
        Line.RESTING: ("*/get-open-orders",),
        Line.PLANS: ("*/current-plan-order",),
        Line.LOOK_UP: ("*/order", "*/get-open-orders", "*/current-plan-order", "*/order-history"),
        Line.MARK: ("*/position-v2", "*/position-risk", "*/markprice-kline"),
        Line.PUBLIC_SOCKET: ("/api",),
        Line.PRIVATE_SOCKET: ("/user",),
        Line.PRIVATE_PUSHES: ("futures/position", "futures/order", "futures/asset:*"),
        Line.PRICE_PUSHES: ("futures/ticker*",),
    },
    denials={
        Denial.LARGER_THAN_HELD: frozenset({Reason.SIZE_ABOVE_POSITION}),
        Denial.NOTHING_HELD: _GONE,
        Denial.WRONG_SIDE: _GONE,
        Denial.VOLUME_HELD_BY_ORDERS: frozenset({Reason.SIZE_ABOVE_POSITION}),
        Denial.ABOVE_MARKET_MAXIMUM: frozenset({Reason.SIZE_BOUNDS}),
        Denial.BELOW_MINIMUM: frozenset({Reason.SIZE_BOUNDS, Reason.PRECISION}),
        Denial.OFF_GRID: frozenset({Reason.PRECISION}),
        Denial.STOP_WITHOUT_POSITION: _GONE,
        Denial.STOP_LARGER_THAN_HELD: frozenset({Reason.SIZE_ABOVE_POSITION}),
        Denial.STOP_PASSED: frozenset({Reason.TRIGGER_PASSED}),
        Denial.STOP_TWICE: frozenset({Reason.PROTECTION_EXISTS}),
        Denial.STOP_REPEATED: frozenset({Reason.DUPLICATE_CLIENT_ID}),
        Denial.UNKNOWN_ORDER: frozenset({Reason.ORDER_GONE}),
        Denial.LEVERAGE_OUT_OF_RANGE: frozenset({Reason.LEVERAGE_CONFLICT}),
        Denial.PAUSED_CONTRACT: frozenset({Reason.INSTRUMENT_PAUSED}),
    },
    turned_away={
        FaultKind.CLOUDFLARE_403: Reason.EDGE_BLOCKED,
        FaultKind.CLOUDFLARE_1010: Reason.EDGE_BLOCKED,
        FaultKind.CLOUDFLARE_503: None,
        FaultKind.TOO_MANY: Reason.RATE_LIMITED,
        FaultKind.BANNED: Reason.BANNED,
        FaultKind.UNAVAILABLE: Reason.MAINTENANCE,
        FaultKind.ERROR_HTML: None,
        FaultKind.MAINTENANCE: Reason.MAINTENANCE,
        FaultKind.TIMEOUT_BEFORE: None,
        FaultKind.TIMEOUT_AFTER: None,
    },
    shows_late=(
        ("*/get-open-orders", FaultKind.EMPTY_READ, None),
        ("*/current-plan-order", FaultKind.EMPTY_READ, None),
        ("*/order-history", FaultKind.EMPTY_READ, None),
    ),
    traits=frozenset({Trait.REFUSES_OVERSIZED_CLOSES, Trait.MAY_BE_CLOSING}),
)
