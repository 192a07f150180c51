"""What differs between the simulated venues for a test that looks on from outside: names of keys, paths, topics, codes."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from guardd.simulator.contracts import Contract, default_contracts, synthetic_contracts
from guardd.simulator.dialects.bitget.desk import Options as BitgetOptions
from guardd.simulator.dialects.bitget_common.listing import bitget_contracts
from guardd.simulator.dialects.bitget_unified.desk import Options as UnifiedOptions
from guardd.simulator.dialects.bitmart.desk import Options as BitmartOptions
from guardd.simulator.faults import Fault
from guardd.simulator.run import SimulatedVenue
from tests.changed import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One simulated venue. `words`: what `{close}` and the like in a fault's target stand for here."""

    venue: SimulatedVenue
    settings_name: str
    keys: tuple[str, str, str]
    """The variables of key, secret and phrase."""
    words: Mapping[str, str]
    client_id_field: str
    reads: str
    """A part of every signed read's path."""
    codes: Mapping[int, int]
    """This venue's word for a refusal, by BitMart's, in which the cases are told."""

    def environ(
        self, key: str = "desk-key", secret: str = "desk-secret", phrase: str = "desk-phrase"
    ) -> dict[str, str]:
        """Credentials of the one account, as the daemon reads them."""
        return dict(zip(self.keys, (key, secret, phrase), strict=True))

    def synthetic(self, count: int) -> tuple[Contract, ...]:
        """Made-up contracts for load; in base coin where the venue counts so."""
        made = synthetic_contracts(count, seed=1)
        if self.venue is SimulatedVenue.BITMART:
            return made
        fine = Decimal("0.001")
        return tuple(replace(each, contract_size=Decimal(1), step=fine, min_size=fine) for each in made)

    def fault(self, told: Fault) -> Fault:
        """The fault in this venue's words."""
        code = None if told.code is None else self.codes.get(told.code, told.code)
        return replace(told, target=self.word(told.target), code=code)

    def word(self, told: str) -> str:
        return told.format_map(self.words) if "{" in told else told

    def options(self, *, ticker_ms: int) -> Any:
        """The dialect's options for a desk: tickers as told, positions repeated so often that a test needn't wait 10 s."""
        match self.venue:
            case SimulatedVenue.BITMART:
                return BitmartOptions(ticker_interval_ms=ticker_ms, position_heartbeat_ms=2_000)
            case SimulatedVenue.BITGET:
                return BitgetOptions(ticker_interval_ms=ticker_ms)
            case SimulatedVenue.BITGET_UNIFIED:
                return UnifiedOptions(ticker_interval_ms=ticker_ms)

    def contracts(self) -> tuple[Contract, ...] | None:
        """What is listed, with steps at least as fine as those of the contracts that the tests count in."""
        if self.venue is SimulatedVenue.BITMART:
            return None
        return tuple(
            replace(
                each,
                step=min(each.step, _STORY.get(each.symbol, each.step)),
                min_size=min(each.min_size, _STORY.get(each.symbol, each.min_size)),
            )
            for each in bitget_contracts()
        )


BITMART: Final = Place(
    venue=SimulatedVenue.BITMART,
    settings_name="bitmart",
    keys=("BITMART_API_KEY", "BITMART_API_SECRET", "BITMART_API_MEMO"),
    words={
        "close": "/contract/private/submit-order",
        "stop": "/contract/private/submit-tp-sl-order",
        "plan": "/contract/private/submit-plan-order",
        "submit": "*submit-*",
        "positions": "/contract/private/position-v2",
        "slow_reads": "/contract/private/*-v2",
        "plan_list": "/contract/private/current-plan-order",
        "private": "/contract/private/*",
        "tickers": "futures/ticker*",
        "private_pushes": "futures/[opa]*",
        "public_socket": "/api",
        "private_socket": "/user",
    },
    client_id_field="client_order_id",
    reads="/private/",
    codes={},
)
_BITGET_KEYS: Final = ("BITGET_API_KEY", "BITGET_API_SECRET", "BITGET_API_PASSPHRASE")
BITGET: Final = Place(
    venue=SimulatedVenue.BITGET,
    settings_name="bitget",
    keys=_BITGET_KEYS,
    words={
        "close": "/api/v2/mix/order/place-order",
        "stop": "/api/v2/mix/order/place-tpsl-order",
        "plan": "/api/v2/mix/order/place-plan-order",
        "submit": "/api/v2/mix/order/place-*",
        "positions": "/api/v2/mix/position/all-position",
        "slow_reads": "/api/v2/mix/position/*",
        "plan_list": "/api/v2/mix/order/orders-plan-pending",
        "private": "/api/v2/mix/[aop]*",
        "tickers": "ticker*",
        "private_pushes": "[opa]*",
        "public_socket": "/v2/ws/public",
        "private_socket": "/v2/ws/private",
    },
    client_id_field="clientOid",
    reads="/mix/",
    codes={40012: 45023, 30007: 40008, 40015: 40200, 40020: 40755, 40011: 43011},
)
UNIFIED: Final = Place(
    venue=SimulatedVenue.BITGET_UNIFIED,
    settings_name="bitget",
    keys=_BITGET_KEYS,
    words={
        "close": "/api/v3/trade/place-order",
        "stop": "/api/v3/trade/place-strategy-order",
        "plan": "/api/v3/trade/place-strategy-order",
        "submit": "/api/v3/trade/place-*",
        "positions": "/api/v3/position/current-position",
        "slow_reads": "/api/v3/position/*",
        "plan_list": "/api/v3/trade/unfilled-strategy-orders",
        "private": "/api/v3/[apt]*",
        "tickers": "ticker*",
        "private_pushes": "[opas]*",
        "public_socket": "/v3/ws/public",
        "private_socket": "/v3/ws/private",
    },
    client_id_field="clientOid",
    reads="/api/v3/",
    codes={40012: 25003, 30007: 40008, 40015: 25008, 40020: 25207, 40011: 25200},
)
PLACES: Final = {place.venue: place for place in (BITMART, BITGET, UNIFIED)}

_STORY: Final = {contract.symbol: contract.contract_size for contract in default_contracts()}


def lot(contract: Contract) -> Decimal:
    """How many of BitMart's contracts, in which the tests count, are one unit of size of this one."""
    return contract.contract_size / _STORY.get(contract.symbol, contract.contract_size)
