"""The choices a venue makes where documentation is silent, and the shape of its order book. All switchable."""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct


class VenueState(StrEnum):
    NORMAL = "normal"
    REDUCE_ONLY = "reduce_only"  # new risk refused; closes, cancels and protective plans go on
    CLOSES_ONLY = "closes_only"  # plan orders and transfers into futures refused as well
    MAINTENANCE = "maintenance"  # every write refused; resting plans still trigger


class LeverageChange(StrEnum):
    """What may be done to the leverage of a contract with an open position."""

    REFUSE = "refuse"
    LOWER_ONLY = "lower_only"
    ANY = "any"


class Oversized(StrEnum):
    """What a sized plan does when it triggers on a smaller position."""

    CLIP = "clip"
    FAIL = "fail"


class RestingCloses(StrEnum):
    """What a close does that wants more than resting closes of its leg leave free, but no more than is held."""

    REFUSE = "refuse"
    REMAINDER = "remainder"  # it closes what is free
    DISPLACE = "displace"  # the oldest resting closes are cancelled until it fits


class MaintenanceBasis(StrEnum):
    """The price at which a position's notional is taken for its maintenance margin."""

    MARK = "mark"
    ENTRY = "entry"


class Terms(Struct, frozen=True, kw_only=True):
    """Documented choices of this venue; the defaults are the stricter reading of the BitMart reference.

    - Liquidation: margin balance ≤ maintenance margin (ratio ≥ 100 %), plus the taker fee of the closing trade when
      `closing_fee_counted` (reference section 15: "closing fees are counted at the taker rate").
    - `forfeit`: the engine takes the position over at its bankruptcy price, so the whole margin is lost (isolated: its
      own; cross: the cross balance). Otherwise it is closed at mark for `liquidation_fee` and the rest is kept.
    """

    closing_fee_counted: bool = True
    maintenance_basis: MaintenanceBasis = MaintenanceBasis.MARK
    forfeit: bool = True
    liquidation_fee: Decimal = Decimal("0.0006")
    partial_liquidation: bool = False  # step down tier by tier before closing everything
    partial_isolated: bool = True  # isolated positions step down as well
    partial_tiers: int = 1  # how many tiers lower one step goes
    net_hedges_first: bool = False  # cross: legs of one contract are set off against each other first
    liquidation_cancels_all: bool = False  # cross: every order of the account ends, not only those of its contracts
    liquidate_before_stops: bool = False  # on one price: liquidation first, or resting stops first
    larger_side_counts: bool = False  # cross, hedged: only the larger side of a contract needs maintenance margin
    orders_need_maintenance: bool = False  # cross: resting opening orders need it as well
    cross_margin_at_mark: bool = False  # the initial margin of cross positions follows the mark, not the entry
    leverage_change: LeverageChange = LeverageChange.LOWER_ONLY
    leverage_needs_no_orders: bool = False  # refused while the contract has an order or plan
    raising_releases_margin: bool = True  # a higher leverage gives isolated margin back
    order_sets_leverage: bool = False  # an opening order on a flat contract may bring its own leverage and mode
    oversized_plan: Oversized = Oversized.CLIP
    sweep_plans_when_flat: bool = False  # else leftovers of a closed position stay listed (reference 11.1)
    one_way_closes: RestingCloses = RestingCloses.REFUSE
    hedge_closes: RestingCloses = RestingCloses.REFUSE  # of market orders; a limit order must fit
    min_notional_on_closes: bool = True  # a contract's smallest order value holds for closes as well
    one_position_plan_per_kind: bool = True  # a second whole-position TP or SL is refused
    position_plan_replaces: bool = False  # or takes the place of the first, and of what that was linked with
    sized_plans_share: bool = False  # sized TPs (and SLs) of a leg may together not exceed the position
    plans_blind_ms: int = 0  # for so long after a fill that opens, the position is unknown to TP/SL orders
    linked_presets: bool = False  # a TP and SL brought by one order are linked: one fires, the other ends
    client_ids_forever: bool = False  # else only existing orders and plans hold their id
    plan_client_ids_kept_ms: int = 0  # a finished plan holds its id until so long after it was placed
    cancel_all_takes_plans: bool = False  # a timed or symbol-wide cancel removes plan orders as well
    max_orders_per_symbol: int = 200
    max_plans_per_symbol: int = 50
    max_trigger_distance: Decimal = Decimal("0.95")  # |trigger − price| ÷ price


class FillModel(Struct, frozen=True, kw_only=True):
    """How deep the book is and how fast it fills; deterministic.

    A taking order walks levels of `level_size` contracts, `level_gap_ticks` apart, starting at the best price; the
    book is whole again for the next order. `slices` > 1: a market order fills in that many parts, one at once and one
    each `slice_interval_ms`. `resting_share`: the part of a crossed resting order's rest that fills at each price
    update (at least one step).
    """

    level_size: Decimal | None = None  # None: everything trades at the best price
    level_gap_ticks: int = 1
    slices: int = 1
    slice_interval_ms: int = 100
    resting_share: Decimal = Decimal(1)
