"""What may still be sent while Cloudflare or a ban stands between us and a venue (interfaces.md section 6).

A block belongs to our address, so one `Gate` serves all accounts of a venue host. The law:

- *Edge* (a Cloudflare page): reads and ordinary writes are held back; one of them tries again after 30-60 s, three times at most in
  one block; one cheap probe each 60 s; an emergency write is tried at once and then every 30-60 s, counted by its subject.
- *Ban* (418): nothing but one probe (after 60 s, doubling to 15 min) and, for each position in breach, one close with each probe.
- The API's own answer to a request that was sent during the block ends it. Answers to requests sent before it prove nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from types import MappingProxyType
from typing import Final, assert_never

from msgspec import Struct

from guardd.model.instant import NS_PER_S
from guardd.venues import retry


class Lane(StrEnum):
    """Who is asking for a token."""

    ORDINARY = "ordinary"
    """Reads, ordinary stop moves, take-profits: `rate_limit_share` of each budget."""
    EMERGENCY = "emergency"
    """Protective closes and missing stops: up to 95 % of it."""
    PROBE = "probe"
    """The one cheap request that asks whether a block is over."""


class Block(StrEnum):
    FREE = "free"
    EDGE = "edge"
    BAN = "ban"


class Sign(StrEnum):
    """What an answer says of the block."""

    ANSWER = "answer"
    """The API itself spoke."""
    PAGE = "page"
    BAN = "ban"


class Pass(StrEnum):
    """On what ground a request goes through."""

    OPEN = "open"
    TRY = "try"
    """An ordinary request that tries an edge block again."""
    SUBJECT = "subject"
    """An emergency write behind an edge block, each subject on its own time."""
    PROBE = "probe"
    CLOSE_WITH_PROBE = "close_with_probe"
    """A close during a ban: one for each subject and probe."""


NEXT: Final[Mapping[tuple[Block, Sign], Block]] = MappingProxyType(
    {
        (Block.FREE, Sign.ANSWER): Block.FREE,
        (Block.FREE, Sign.PAGE): Block.EDGE,
        (Block.FREE, Sign.BAN): Block.BAN,
        (Block.EDGE, Sign.ANSWER): Block.FREE,
        (Block.EDGE, Sign.PAGE): Block.EDGE,
        (Block.EDGE, Sign.BAN): Block.BAN,
        (Block.BAN, Sign.ANSWER): Block.FREE,
        (Block.BAN, Sign.PAGE): Block.BAN,
        (Block.BAN, Sign.BAN): Block.BAN,
    }
)
GROUNDS: Final[Mapping[tuple[Block, Lane], Pass | None]] = MappingProxyType(
    {
        (Block.FREE, Lane.ORDINARY): Pass.OPEN,
        (Block.FREE, Lane.EMERGENCY): Pass.OPEN,
        (Block.FREE, Lane.PROBE): Pass.OPEN,
        (Block.EDGE, Lane.ORDINARY): Pass.TRY,
        (Block.EDGE, Lane.EMERGENCY): Pass.SUBJECT,
        (Block.EDGE, Lane.PROBE): Pass.PROBE,
        (Block.BAN, Lane.ORDINARY): None,
        (Block.BAN, Lane.EMERGENCY): Pass.CLOSE_WITH_PROBE,
        (Block.BAN, Lane.PROBE): Pass.PROBE,
    }
)

_UNSENT_AGAIN_NS: Final = 10 * NS_PER_S
"""A probe that couldn't be sent goes again after this."""
_NEVER_NS: Final = 2**63
"""Later than any deadline: this errand isn't let through while the block stands."""


class Errand(Struct, frozen=True, kw_only=True):
    """Who wants through: `subject` names what an emergency write is for, `closes` that it closes a position in breach."""

    lane: Lane
    subject: str = ""
    closes: bool = False


class Admission(Struct, frozen=True, kw_only=True):
    """A leave to send: on what ground, and when it was given (monotonic ns)."""

    errand: Errand
    ground: Pass
    at_ns: int


class Barred(Struct, frozen=True, kw_only=True):
    """Not now; `until_ns` is when this errand may go, or, if the block itself must end first, when that is next tried."""

    block: Block
    until_ns: int


@dataclass(slots=True, kw_only=True)
class _Standing:
    """The block that stands: since when, and what was already let through it. All times monotonic ns."""

    since_ns: int
    next_probe_ns: int
    next_try_ns: int
    tries: int = 0
    probes: int = 0
    next_by_subject: dict[str, int] = field(default_factory=dict)
    probe_of_close: dict[str, int] = field(default_factory=dict)


class Gate:
    """The state machine of one venue host. `random` gives the jitter; times come with each call."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._block = Block.FREE
        self._standing = _Standing(since_ns=0, next_probe_ns=0, next_try_ns=0)

    @property
    def block(self) -> Block:
        return self._block

    def until_ns(self) -> int | None:
        """When something is next let through whatever its urgency; None while free."""
        standing = self._standing
        match self._block:
            case Block.FREE:
                return None
            case Block.EDGE if standing.tries < retry.EDGE_TRIES:
                return min(standing.next_probe_ns, standing.next_try_ns)
            case Block.EDGE | Block.BAN:
                return standing.next_probe_ns
            case _:
                assert_never(self._block)

    def probe_due(self, now_ns: int) -> bool:
        """True when a block stands and its next probe may be sent."""
        return self._block is not Block.FREE and now_ns >= self._standing.next_probe_ns

    def ask(self, errand: Errand, now_ns: int) -> Admission | Barred:
        """May it go? Nothing is counted before `admit`."""
        if self._block is Block.FREE:  # as the table says of each lane; it is asked before every order
            return Admission(errand=errand, ground=Pass.OPEN, at_ns=now_ns)
        ground = GROUNDS[self._block, errand.lane]
        from_ns = self._open_from_ns(ground, errand)
        if from_ns == _NEVER_NS or ground is None:
            return Barred(block=self._block, until_ns=self.until_ns() or now_ns)
        if now_ns < from_ns:
            return Barred(block=self._block, until_ns=from_ns)
        return Admission(errand=errand, ground=ground, at_ns=now_ns)

    def admit(self, admission: Admission) -> None:
        """It goes: count it."""
        standing, now_ns = self._standing, admission.at_ns
        match admission.ground:
            case Pass.OPEN:
                pass
            case Pass.TRY:
                standing.tries += 1
                standing.next_try_ns = now_ns + self._edge_ns()
            case Pass.SUBJECT:
                standing.next_by_subject[admission.errand.subject] = now_ns + self._edge_ns()
            case Pass.CLOSE_WITH_PROBE:
                standing.probe_of_close[admission.errand.subject] = standing.probes
            case Pass.PROBE:
                standing.probes += 1
                wait_s = retry.EDGE_PROBE_S if self._block is Block.EDGE else retry.ban_probe_s(standing.probes)
                standing.next_probe_ns = now_ns + _ns(wait_s)
            case _:
                assert_never(admission.ground)

    def take_back(self, admission: Admission) -> None:
        """It never left the machine, so the venue saw nothing of it: an emergency write may go again at once, and a probe that
        nobody answered makes the wait for the next no longer."""
        match admission.ground:
            case Pass.SUBJECT:
                self._standing.next_by_subject.pop(admission.errand.subject, None)
            case Pass.CLOSE_WITH_PROBE:
                self._standing.probe_of_close.pop(admission.errand.subject, None)
            case Pass.PROBE:
                standing = self._standing
                standing.probes = max(standing.probes - 1, 0)
                standing.next_probe_ns = admission.at_ns + _UNSENT_AGAIN_NS
                went = standing.probe_of_close
                standing.probe_of_close = {each: min(number, standing.probes) for each, number in went.items()}
            case Pass.OPEN | Pass.TRY:
                pass
            case _:
                assert_never(admission.ground)

    def learn(self, sign: Sign, admission: Admission, now_ns: int, *, retry_after_s: float = 0.0) -> None:
        """An admitted request was answered. One that was sent before the present block began says nothing about it."""
        before = self._block
        if before is not Block.FREE and admission.at_ns < self._standing.since_ns and sign is not Sign.BAN:
            return
        self._block = NEXT[before, sign]
        if self._block is not before and self._block is not Block.FREE:
            self._standing = self._begun(now_ns, retry_after_s)
        elif self._block is not Block.FREE:
            self._not_before(now_ns + _ns(retry_after_s))
        if sign is Sign.PAGE and self._block is Block.EDGE and admission.errand.lane is Lane.EMERGENCY:
            self._standing.next_by_subject.setdefault(admission.errand.subject, now_ns + self._edge_ns())

    def _open_from_ns(self, ground: Pass | None, errand: Errand) -> int:
        standing = self._standing
        match ground:
            case Pass.OPEN:
                return 0
            case Pass.TRY:
                return standing.next_try_ns if standing.tries < retry.EDGE_TRIES else _NEVER_NS
            case Pass.SUBJECT:
                return standing.next_by_subject.get(errand.subject, 0)
            case Pass.CLOSE_WITH_PROBE:
                if not errand.closes:
                    return _NEVER_NS
                with_this_probe = standing.probe_of_close.get(errand.subject, 0) < standing.probes
                return 0 if with_this_probe else _NEVER_NS  # a probe that is due isn't one that was sent
            case Pass.PROBE:
                return standing.next_probe_ns
            case None:
                return _NEVER_NS
            case _:
                assert_never(ground)

    def _begun(self, now_ns: int, retry_after_s: float) -> _Standing:
        earliest_ns = now_ns + _ns(retry_after_s)
        first_probe_s = retry.EDGE_PROBE_S if self._block is Block.EDGE else retry.ban_probe_s(0)
        return _Standing(
            since_ns=now_ns,
            next_probe_ns=max(earliest_ns, now_ns + _ns(first_probe_s)),
            next_try_ns=max(earliest_ns, now_ns + self._edge_ns()),
        )

    def _not_before(self, earliest_ns: int) -> None:
        standing = self._standing
        standing.next_probe_ns = max(standing.next_probe_ns, earliest_ns)
        standing.next_try_ns = max(standing.next_try_ns, earliest_ns)

    def _edge_ns(self) -> int:
        return _ns(retry.edge_s(self._random.random()))


def _ns(seconds: float) -> int:
    return int(seconds * NS_PER_S)
