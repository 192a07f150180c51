"""What every handler is given: the exchange, the choices of this venue, and one caller's request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from msgspec import Struct

from guardd.simulator.contracts import Contract
from guardd.simulator.dialects.bitmart.arguments import Body, Query
from guardd.simulator.dialects.bitmart.envelope import Success, VenueError
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import Faults
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.tape import Tape
from guardd.simulator.wire import Request


class Options(Struct, frozen=True, kw_only=True):
    """Where the reference leaves a choice, or documents an oddity that a client has to survive."""

    flat_position_amount: str = "5"  # position-v2's flat rows, as the document's own samples have it (quirk 3)
    ticker_interval_ms: int = 1_000  # documented; 0: a frame for every price move
    ticker_group_suffix: str = ""  # "@100ms" can appear although not asked for (quirk 26)
    silent_symbols: frozenset[str] = frozenset()  # never in the all-contract ticker (quirk 28)
    candles_in_items: bool = False  # kline pushes as captured, `items[]`, instead of flat as documented (19.1)
    position_heartbeat_ms: int = 10_000
    tells_closed_position: bool = True  # one push with hold_volume "0", else it just drops out (19.2)
    subscribe_within_ms: int | None = 5_000  # a socket without a topic is closed; documented, not observed
    idle_close_ms: int | None = 20_000  # a socket that sends nothing is closed; documented, not observed
    claim_amount: str = "10000"  # what the demo environment tops up to
    service_notice: bool = False  # /system/service lists a contract maintenance


@dataclass(slots=True, kw_only=True)
class Desk:
    exchange: Exchange
    tape: Tape
    faults: Faults
    options: Options = field(default_factory=Options)
    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311 -- reproducible traces, not secrets

    def trace(self) -> str:
        """A fresh id, of the kind that support asks for."""
        digits = f"{self.random.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def contract(self, symbol: str, unknown: int = 40034) -> Contract:
        """The contract, or the venue's code for an unknown symbol (40012 on details, 40034 elsewhere: quirk 9)."""
        try:
            return self.exchange.query.contract(symbol)
        except Refused as refusal:
            raise VenueError(unknown, "SYMBOL_NOT_EXIST" if unknown == 40012 else None) from refusal


class Call(Struct, frozen=True, kw_only=True):
    """One authenticated request. `uid` is "" on public calls; `now_ms` is the exchange's time, which never steps back."""

    request: Request
    uid: str
    now_ms: int

    @property
    def query(self) -> Query:
        return Query(self.request.query)

    @property
    def body(self) -> Body:
        return Body.of(self.request)


Handler = Callable[[Desk, Call], Success]

_CODES: dict[RefusalReason, tuple[int, str | None]] = {
    RefusalReason.VENUE_CLOSING: (40015, None),
    RefusalReason.VENUE_MAINTENANCE: (30016, None),
    RefusalReason.CONTRACT_NOT_FOUND: (40034, None),
    RefusalReason.CONTRACT_OFFLINE: (40014, None),
    RefusalReason.CONTRACT_PAUSED: (40015, None),
    RefusalReason.NO_MARKET: (40015, None),
    RefusalReason.PARAMETER_INVALID: (40011, None),
    RefusalReason.PRICE_PRECISION: (40043, None),
    RefusalReason.SIZE_PRECISION: (40043, None),
    RefusalReason.SIZE_RANGE: (40044, None),
    RefusalReason.NOTIONAL_TOO_SMALL: (40044, None),
    RefusalReason.DUPLICATE_CLIENT_ID: (40050, None),
    RefusalReason.LEVERAGE_TOO_LARGE: (40029, None),
    RefusalReason.LEVERAGE_TOO_SMALL: (40030, None),
    RefusalReason.LEVERAGE_CONFLICT: (40012, "Invalid order"),
    RefusalReason.MARGIN_MODE_CONFLICT: (40012, "Invalid order"),
    RefusalReason.POSITION_LIMIT: (40029, None),
    RefusalReason.POSITIONS_EXIST: (40059, None),
    RefusalReason.ORDERS_EXIST: (40059, None),
    RefusalReason.NOT_ISOLATED: (40022, None),
    RefusalReason.INSUFFICIENT_BALANCE: (40027, None),
    RefusalReason.INSUFFICIENT_SPOT_BALANCE: (61001, None),
    RefusalReason.AMOUNT_INVALID: (40005, None),
    RefusalReason.WOULD_LIQUIDATE: (40016, None),
    RefusalReason.TRANSFER_SUSPENDED: (61008, None),
    RefusalReason.POSITION_NOT_EXIST: (40021, None),
    RefusalReason.POSITION_CLOSED: (40018, None),
    RefusalReason.POSITION_LIQUIDATING: (40019, None),
    RefusalReason.VOLUME_NOT_ENOUGH: (40020, None),
    RefusalReason.POSITION_NOT_READY: (40021, None),
    RefusalReason.ORDER_NOT_EXIST: (40035, None),
    RefusalReason.ORDER_FINISHED: (40036, None),
    RefusalReason.TOO_MANY_ORDERS: (40012, "The number of orders exceeds the limit"),
    RefusalReason.TOO_MANY_PLANS: (40028, None),
    RefusalReason.PLAN_EXISTS: (40012, "Position TP/SL order already exists"),
    RefusalReason.TRIGGER_TOO_FAR: (40031, None),
    RefusalReason.TRIGGER_WRONG_SIDE: (40012, "Invalid trigger price"),
    RefusalReason.SYSTEM_ERROR: (40012, "System error"),
}


def code_of(refusal: Refused) -> VenueError:
    """The venue's code for a refusal. Several causes share 40012 and differ in text only (quirk 15)."""
    code, text = _CODES[refusal.reason]
    return VenueError(code, text)
