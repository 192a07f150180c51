"""Everything that may go wrong in a story, one table: what each kind is, how it is drawn, what the guard isn't blamed for.

While a strike stands, and `after_s` (plus `after_share` of its length) beyond it, nobody asks whether the guard acts in time
(I5, I10); what must never happen is asked always. To that a checker adds the time that it takes to read everything anew.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from guardd.simulator.faults import FaultKind
from guardd.simulator.run import SimulatedVenue


class Act(StrEnum):
    """Who does it."""

    VENUE = "venue"
    """A fault of the simulated venue, by its switchboard."""
    WEATHER = "weather"
    """Between guard and venue."""
    CONDUCT = "conduct"
    """The exchange changes something, as exchanges do."""
    MACHINE = "machine"
    """The guard's own clock, disk and directory, and its operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of fault. `sizes`: milliseconds, shares, factors, as the kind wants them; `targets`: `tests.live.places`' words."""

    name: str
    act: Act
    lengths_s: tuple[float, ...]
    why: str
    """What it excuses, by which page."""
    fault: FaultKind | None = None
    rates: tuple[float, ...] = (1.0,)
    sizes: tuple[float, ...] = (0.0,)
    targets: tuple[str, ...] = ("*",)
    after_s: float = 0.0
    after_share: float = 0.0
    size_s: float = 0.0
    """So many more seconds for each unit of its size."""
    only_at: frozenset[SimulatedVenue] = frozenset(SimulatedVenue)
    excuses: frozenset[str] = frozenset()
    """Invariants that nobody asks for meanwhile, besides acting in time."""
    for_ever: bool = False
    """Nothing brings it back: from then on the account can't be guarded."""

    def excused_s(self, for_s: float, size: float) -> float:
        """How long after its end the guard isn't expected to have acted yet."""
        return 1e9 if self.for_ever else self.after_s + self.after_share * for_s + self.size_s * size


_SHORT: Final = (2.0, 10.0, 30.0)
_WINDOW: Final = (2.0, 10.0, 30.0, 120.0)
_BLOCK: Final = "a block is left by one probe each 60 s (interfaces.md 6)"
_RETRY: Final = "a request times out after its deadline and goes again; what became of it is read first (I7)"
_BLIND: Final = "what isn't pushed is read every 10 s (interfaces.md 2.3, Ages)"
_REFUSED: Final = "the venue takes no such order (I10: liveness only where it accepts orders for 5 s)"
_F = FaultKind
_BITGETS: Final = frozenset({SimulatedVenue.BITGET, SimulatedVenue.BITGET_UNIFIED})
_BITMART: Final = frozenset({SimulatedVenue.BITMART})
_CALLS: Final = ("*", "{submit}", "{positions}", "{plan_list}", "{private}")
_READS: Final = ("{positions}", "{plan_list}", "{private}")


def _venue(fault: FaultKind, why: str, lengths_s: tuple[float, ...] = _SHORT, **more: object) -> Kind:
    return Kind(name=fault.value, act=Act.VENUE, fault=fault, lengths_s=lengths_s, why=why, **more)  # type: ignore[arg-type]


KINDS: Final = (
    # Between guard and venue
    Kind(name="lost-before", act=Act.WEATHER, lengths_s=_WINDOW, sizes=(0.02, 0.05, 0.1, 0.2), why=_RETRY),
    Kind(name="lost-after", act=Act.WEATHER, lengths_s=_WINDOW, sizes=(0.02, 0.05, 0.1, 0.2), why=_RETRY),
    Kind(name="slow-net", act=Act.WEATHER, lengths_s=_WINDOW, sizes=(500, 5_000, 60_000), size_s=0.001,
         excuses=frozenset({"I12"}), why=f"{_RETRY}; what leaves in turn arrives in heaps (I12 is about what leaves)"),
    Kind(name="outage", act=Act.WEATHER, lengths_s=(2.0, 10.0, 120.0, 900.0), after_s=10.0,
         why="nothing can be sent; a socket is tried again after at most 10 s, a start after 5 s"),
    # REST
    _venue(_F.CLOUDFLARE_403, _BLOCK, _WINDOW, rates=(0.2, 1.0), after_s=75.0),
    _venue(_F.CLOUDFLARE_1010, _BLOCK, _WINDOW, rates=(0.2, 1.0), after_s=75.0),
    _venue(_F.CLOUDFLARE_503, _BLOCK, _WINDOW, rates=(0.2, 1.0), after_s=75.0),
    _venue(_F.TOO_MANY, "429 rests its bucket (interfaces.md 6)", _WINDOW, rates=(0.2, 1.0), after_s=75.0, targets=_CALLS),
    _venue(_F.BANNED, "418: one probe after 60 s, doubling", (2.0, 30.0, 120.0), after_s=75.0, after_share=1.0, only_at=_BITMART),
    _venue(_F.UNAVAILABLE, _RETRY, rates=(0.2, 1.0), targets=_CALLS),
    _venue(_F.ERROR_HTML, _RETRY, rates=(0.2, 1.0), targets=_CALLS),
    _venue(_F.MAINTENANCE, _REFUSED, _WINDOW),
    _venue(_F.REFUSE, _REFUSED, rates=(0.2, 1.0), sizes=(40012, 30007, 40015, 40020, 40011), targets=("{submit}",)),
    _venue(_F.TIMEOUT_BEFORE, _RETRY, _WINDOW, rates=(0.02, 0.05, 0.1, 0.2), targets=_CALLS),
    _venue(_F.TIMEOUT_AFTER, _RETRY, _WINDOW, rates=(0.02, 0.05, 0.1, 0.2), targets=_CALLS),
    _venue(_F.SLOW, _RETRY, _WINDOW, rates=(0.1, 1.0), sizes=(200, 800, 3_000), size_s=0.001, targets=_CALLS),
    _venue(_F.STALE_READ, "believed for as long as it lasts, and parks the account where it lasts (I29)", (1.0, 4.0, 5.0),
           rates=(0.2, 1.0), targets=_READS),
    _venue(_F.EMPTY_READ, "two that agree 2 s apart are believed (I6)", (0.5, 2.0), rates=(0.2, 1.0), targets=_READS),
    # Streams
    _venue(_F.DROP_PUSH, _BLIND, _WINDOW, rates=(0.02, 0.05, 0.1, 1.0), targets=("*", "{tickers}", "{private_pushes}")),
    _venue(_F.LATE_PUSH, _BLIND, _WINDOW, rates=(0.1, 1.0), sizes=(200, 3_000, 15_000, 60_000), size_s=0.001,
           targets=("*", "{tickers}", "{private_pushes}")),
    _venue(_F.DUPLICATE_PUSH, "nothing", _WINDOW, rates=(0.05, 0.1, 1.0)),
    _venue(_F.REORDER_PUSH, "nothing", _WINDOW, rates=(0.05, 0.1, 0.5)),
    _venue(_F.FREEZE_SOCKET, "a silent socket is left after its silence (45 s)", _WINDOW, after_s=45.0,
           targets=("*", "{public_socket}", "{private_socket}")),
    _venue(_F.CLOSE_SOCKET, "a socket is tried again after at most 10 s", (1.0, 10.0), after_s=10.0),
    _venue(_F.REFUSE_LOGIN, "a socket is tried again after at most 10 s", after_s=10.0),
    _venue(_F.LOGIN_UNAVAILABLE, "a socket is tried again after at most 10 s", after_s=10.0),
    _venue(_F.BAD_TICK, "one bad price isn't acted on (I28)", rates=(0.02, 0.1), sizes=(0.5, 0.9, 1.1), targets=("*",)),
    # The venue itself
    _venue(_F.CLOCK_OFFSET, "requests are refused until the offset is read again", sizes=(-3_000, 2_000, 60_000), after_s=10.0),
    _venue(_F.PARTIAL_FILL, "a close is done when its last part is", _WINDOW, sizes=(0.1, 0.3)),
    _venue(_F.PLAN_FAILS, "a stop that failed is finished by order", (30.0, 120.0)),
    _venue(_F.FILL_FIRST, "nothing", _WINDOW),
    _venue(_F.CANCEL_WITHOUT_DATA, "nothing", _WINDOW, only_at=_BITMART),
    _venue(_F.CLOSING, _REFUSED, _WINDOW),
    _venue(_F.CONVERTING, _REFUSED, (10.0, 60.0), after_s=40.0, only_at=frozenset({SimulatedVenue.BITGET_UNIFIED})),
    _venue(_F.OTHER_FAMILY, "nothing is sent; asked again each 30 s", (10.0, 60.0), after_s=40.0, only_at=_BITGETS),
    Kind(name="upgraded", act=Act.CONDUCT, lengths_s=(0.0,), only_at=frozenset({SimulatedVenue.BITGET}), for_ever=True,
         excuses=frozenset({"I5", "I6", "I12", "I21", "I30"}),
         why="an account of another family isn't guarded until guardd is started again (venues/bitget/family.py)"),
    Kind(name="reduce-only", act=Act.CONDUCT, lengths_s=_WINDOW, why=_REFUSED),
    Kind(name="closes-only", act=Act.CONDUCT, lengths_s=_WINDOW, why=_REFUSED),
    Kind(name="shut", act=Act.CONDUCT, lengths_s=_WINDOW, why=_REFUSED),
    Kind(name="paused", act=Act.CONDUCT, lengths_s=_WINDOW, why=_REFUSED),
    Kind(name="delisted", act=Act.CONDUCT, lengths_s=(0.0,), why="nothing: the venue closes what is held"),
    Kind(name="tick", act=Act.CONDUCT, lengths_s=(0.0,), sizes=(2, 5, 10), after_s=10.0,
         why="the instrument is read again when the venue refuses a price"),
    Kind(name="tiers", act=Act.CONDUCT, lengths_s=(0.0,), sizes=(1.5, 3.0), after_s=10.0, why="positions are read every 10 s"),
    Kind(name="last-apart", act=Act.CONDUCT, lengths_s=_WINDOW, sizes=(-0.02, -0.005, 0.005, 0.02), why="nothing"),
    Kind(name="index-apart", act=Act.CONDUCT, lengths_s=_WINDOW, sizes=(-0.05, -0.02, 0.02, 0.05), why="nothing"),
    Kind(name="adl", act=Act.CONDUCT, lengths_s=(0.0,), sizes=(0.3, 1.0), why="nothing"),
    Kind(name="funding", act=Act.CONDUCT, lengths_s=(0.0,), sizes=(0.001, -0.002, 0.01), why="nothing"),
    # The guard's own machine, and who sits at it
    Kind(name="clock-step", act=Act.MACHINE, lengths_s=(0.0,), sizes=(-3_600_000, -5_000, -800, 800, 5_000, 40_000, 3_600_000),
         after_s=10.0, why="requests are refused until the offset is read again"),
    Kind(name="clock-drift", act=Act.MACHINE, lengths_s=_WINDOW, sizes=(-500, 200, 2_000), after_s=0.0, why="nothing"),
    Kind(name="disk-full", act=Act.MACHINE, lengths_s=(2.0, 10.0, 60.0), after_s=10.0,
         why="what can't be made durable isn't sent (I20); the daemon may end and be started again"),
    Kind(name="disk-slow", act=Act.MACHINE, lengths_s=_WINDOW, sizes=(0.2, 2.0), size_s=5.0,
         why="what isn't durable isn't sent (I20)"),
    Kind(name="halted", act=Act.MACHINE, lengths_s=_WINDOW, after_s=12.0, why="only missing stops and `close` act (I22)"),
    Kind(name="same-directory", act=Act.MACHINE, lengths_s=(0.0,), why="nothing: the second is refused (I14)"),
)  # fmt: skip
MENU: Final = {kind.name: kind for kind in KINDS}
TWIN: Final = "twin"
KILL: Final = "kill"
NAMES: Final = (*MENU, TWIN, KILL)
UP_AGAIN_S: Final = 12.0
"""A start proves the key, remembers, reads everything and waits for its streams."""
TWIN_AFTER_S: Final = 10.0
"""Two instances take each other's orders for foreign: the later one observes within 10 s (I14)."""
