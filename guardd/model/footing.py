"""What an episode's protection stands on and no read can tell again: it is journalled with the episode and survives a restart.

Marks that triggers were fixed to, the best mark that a stop trails, stops that nothing automatic may move away from the price,
tranches that are done. Written by `policy`, through the fold.
"""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from guardd.model.decision import OnUnprotected
from guardd.model.names import PriceType, RuleName
from guardd.model.order import ProtectionKind


class FixedMark(Struct, frozen=True, kw_only=True):
    """The mark that `from_mark` of a rule hangs on: that of the first placing."""

    rule: RuleName
    kind: ProtectionKind
    mark: Decimal


class BestMark(Struct, frozen=True, kw_only=True):
    """The best confirmed mark since the rule's `trail_stop` is about the position: the highest of a long, the lowest of a short."""

    rule: RuleName
    mark: Decimal


class LatchedStop(Struct, frozen=True, kw_only=True):
    """One stop that was wanted, as tight as it ever was (I11). `ladder`: the shares of all the tranches it stood among.

    `size`: contracts, of a stop that was found resting without a memory of what asked for it; None: `ladder[place]` of the base.
    """

    rule: RuleName
    tranche: int
    ladder: tuple[Decimal, ...]
    place: int
    trigger_price: Decimal
    price_type: PriceType
    on_unprotected: OnUnprotected
    size: Decimal | None = None


class FilledTranche(Struct, frozen=True, kw_only=True):
    """A tranche whose order filled `size` contracts, when the venue had counted `closed` contracts of this life as closed."""

    slot: RuleName
    size: Decimal
    closed: Decimal


class Footing(Struct, frozen=True, kw_only=True):
    fixed: tuple[FixedMark, ...] = ()
    best: tuple[BestMark, ...] = ()
    latched: tuple[LatchedStop, ...] = ()
    filled: tuple[FilledTranche, ...] = ()


NO_FOOTING: Final = Footing()
