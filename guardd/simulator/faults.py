"""Everything that can go wrong at a venue, as switches: what, how often, for whom, from when until when.

Deterministic: each fault draws from a generator seeded with the simulator's seed and the fault's name, so that another
fault, or the order in which faults were set, never changes its draws.
"""

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from msgspec import Struct
from msgspec.structs import replace

from guardd.simulator.prices import FeedEffect, FeedEffectKind


class FaultKind(StrEnum):
    # REST, at the edge
    CLOUDFLARE_403 = "cloudflare-403"
    CLOUDFLARE_1010 = "cloudflare-1010"
    CLOUDFLARE_503 = "cloudflare-503"
    AGENT_CHECK = "agent-check"  # only default library agents get the 1010 page
    # REST, at the gateway
    TOO_MANY = "too-many"
    BANNED = "banned"
    UNAVAILABLE = "unavailable"  # 503 with the venue's JSON
    ERROR_HTML = "error-html"  # 502 with a page
    MAINTENANCE = "maintenance"
    REFUSE = "refuse"  # `code` chooses the refusal
    # REST, around the execution
    TIMEOUT_BEFORE = "timeout-before"  # never executed, never answered
    TIMEOUT_AFTER = "timeout-after"  # executed, never answered
    SLOW = "slow"  # answered after `delay_ms`
    STALE_READ = "stale-read"  # the answer of an earlier state
    EMPTY_READ = "empty-read"  # `data: []` whatever is held
    # streams
    DROP_PUSH = "drop-push"
    LATE_PUSH = "late-push"  # by `delay_ms`
    DUPLICATE_PUSH = "duplicate-push"
    REORDER_PUSH = "reorder-push"  # swapped with the next one of its socket
    FREEZE_SOCKET = "freeze-socket"  # open, but silent
    CLOSE_SOCKET = "close-socket"
    REFUSE_LOGIN = "refuse-login"
    LOGIN_UNAVAILABLE = "login-unavailable"  # private topics are refused for the moment
    BAD_TICK = "bad-tick"  # the ticker's mark times `factor`
    # the venue itself
    CLOCK_OFFSET = "clock-offset"  # its clock is `offset_ms` ahead
    PARTIAL_FILL = "partial-fill"  # fills at most `factor` of an order
    PLAN_FAILS = "plan-fails"  # a triggered plan order places nothing
    FILL_FIRST = "fill-first"  # a resting limit order fills just before its cancel arrives
    CLOSING = "closing"  # no new risk: opens, plans and transfers refused with `code`
    CANCEL_WITHOUT_DATA = "cancel-without-data"  # reference, quirk 20
    CONVERTING = "converting"  # the account is on its way to another family: reads go on, writes are refused
    OTHER_FAMILY = "other-family"  # the owner has switched the account: this protocol isn't its own any more


class Fault(Struct, frozen=True, kw_only=True):
    """One switch. A window end of None is open; `times` None is unlimited; globs match everything by default."""

    name: str
    kind: FaultKind
    rate: float = 1.0
    times: int | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    target: str = "*"  # a glob: path of a REST call, or topic of a push
    account: str = "*"
    symbol: str = "*"
    delay_ms: int = 0
    offset_ms: int = 0
    code: int | None = None
    factor: str = "1"

    def __post_init__(self) -> None:
        if not 0.0 <= self.rate <= 1.0:
            raise ValueError(f"fault {self.name}: rate {self.rate}, expected 0 to 1")


@dataclass(slots=True)
class _Armed:
    fault: Fault
    draws: random.Random
    hits: int = 0


@dataclass(slots=True)
class Faults:
    """The switchboard. Times are the venue's, given with each question."""

    seed: int = 0
    _armed: dict[str, _Armed] = field(default_factory=dict)
    _kinds: dict[FaultKind, list[_Armed]] = field(default_factory=dict)
    """The same by kind: every call and every push asks for most of the kinds."""
    kinds: Collection[FaultKind] = field(init=False)
    """Those of which any fault is switched on; it follows what is switched later."""

    def __post_init__(self) -> None:
        self.kinds = self._kinds.keys()

    def set(self, fault: Fault) -> None:
        """Switch a fault on, or replace the one of the same name; its draws and count begin anew."""
        self._armed[fault.name] = _Armed(fault=fault, draws=random.Random(f"{self.seed}/{fault.name}"))  # noqa: S311
        self._sort()

    def add(self, kind: FaultKind, **settings: object) -> Fault:
        """Switch on a fault named after its kind."""
        fault = replace(Fault(name=str(kind), kind=kind), **settings)
        self.set(fault)
        return fault

    def clear(self, name: str | None = None) -> None:
        """Switch one fault off, or all of them."""
        if name is None:
            self._armed.clear()
        else:
            self._armed.pop(name, None)
        self._sort()

    def listed(self) -> list[tuple[Fault, int]]:
        """Every fault that is switched on, with how often it struck."""
        return [(armed.fault, armed.hits) for armed in self._armed.values()]

    def armed(self, kind: FaultKind) -> bool:
        """Any fault of this kind is switched on, whatever it applies to."""
        return kind in self._kinds

    def strikes(
        self, kind: FaultKind, now_ms: int, *, target: str = "", account: str = "", symbol: str = ""
    ) -> Fault | None:
        """The fault of this kind that strikes here and now, if any. Draws, and counts the hit."""
        for armed in self._kinds.get(kind, ()):
            fault = armed.fault
            if not _applies(armed, now_ms, target, account, symbol):
                continue
            if fault.rate < 1.0 and armed.draws.random() >= fault.rate:
                continue
            armed.hits += 1
            return fault
        return None

    def stands(
        self, kind: FaultKind, now_ms: int, *, target: str = "", account: str = "", symbol: str = ""
    ) -> Fault | None:
        """The fault of this kind that is switched on, without drawing or counting: for conditions, not events."""
        for armed in self._kinds.get(kind, ()):
            if _applies(armed, now_ms, target, account, symbol):
                return armed.fault
        return None

    def _sort(self) -> None:
        self._kinds.clear()
        for armed in self._armed.values():
            self._kinds.setdefault(armed.fault.kind, []).append(armed)


def feed_faults(effects: Iterable[FeedEffect], start_ms: int, *, target: str = "*ticker*") -> list[Fault]:
    """What a crash does to the price feed, as faults of the pushes named by `target`; `start_ms` is its beginning."""
    kinds = {FeedEffectKind.STALL: FaultKind.DROP_PUSH, FeedEffectKind.LAG: FaultKind.LATE_PUSH}
    return [
        Fault(
            name=f"feed-{number}",
            kind=kinds[effect.kind],
            rate=float(effect.share),
            from_ms=start_ms + effect.start_ms,
            until_ms=start_ms + effect.end_ms,
            target=target,
            delay_ms=effect.delay_ms,
        )
        for number, effect in enumerate(effects)
    ]


def _applies(armed: _Armed, now_ms: int, target: str, account: str, symbol: str) -> bool:
    fault = armed.fault
    return (
        (fault.times is None or armed.hits < fault.times)
        and (fault.from_ms is None or now_ms >= fault.from_ms)
        and (fault.until_ms is None or now_ms < fault.until_ms)
        and fnmatchcase(target, fault.target)
        and fnmatchcase(account, fault.account)
        and fnmatchcase(symbol, fault.symbol)
    )
