"""What the guard asked of the venue: I7, I12, I20, I22, I27, I29, I30. By its requests, as they leave and as they arrive."""

import json
import re
import sqlite3
from collections import deque
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from guardd.journal.ahead import FILE_NAME as AHEAD
from guardd.journal.ahead import AheadLog
from guardd.journal.sqlite import FILE_NAME
from guardd.model.intent import Intent
from guardd.simulator.dialects.bitget.endpoints import ENDPOINTS as CLASSIC
from guardd.simulator.dialects.bitget_common.endpoints import OVERALL
from guardd.simulator.dialects.bitget_unified.endpoints import ENDPOINTS as UNIFIED
from guardd.simulator.dialects.bitmart.endpoints import ENDPOINTS as BITMART
from guardd.simulator.limits import Rate
from guardd.simulator.run import SimulatedVenue
from guardd.simulator.stamps import RequestStamp
from guardd.venues.limiter import EMERGENCY_SHARE
from guardd.venues.wire import WireRequest
from tests.simulation.checks.ground import Ground, LegKey

OUR_ID: Final = re.compile(r"gd1[a-z2-7]{26}")
RATES: Final[Mapping[SimulatedVenue, Mapping[tuple[str, str], Rate]]] = {
    SimulatedVenue.BITMART: {call: each.rate for call, each in BITMART.items()},
    SimulatedVenue.BITGET: {call: each.rate for call, each in CLASSIC.items()},
    SimulatedVenue.BITGET_UNIFIED: {call: each.rate for call, each in UNIFIED.items()},
}
READS_BY_POST: Final = ("/account/v1/transfer-contract-list",)
NEVER: Final = (
    "cancel-all",  # I27, I30: timed or without an id, and BitMart's cancel-all-after
    "cancel-orders",
    "countdown-cancel-all",
    "batch-cancel",
    "cancel-symbol-order",
    "close-all",
    "position-mode",
    "switch",
)
ONE_POSITION: Final = "/close-positions"
"""The last means of an account of Bitget's, for a position that no order may close (UTA reference, 12.3): one, by its symbol."""
SYMBOL: Final = re.compile(r'"symbol"\s*:\s*"[A-Z0-9]+"')
MAY_STAND: Final = frozenset({"/contract/private/get-position-mode"})
POSITIONS: Final = ("position-v2", "/position/all-position", "/position/current-position")
PROVES_FAMILY: Final = frozenset(
    {"/api/v2/mix/account/accounts", "/api/v3/account/info", "/api/v3/account/settings", "/api/v2/public/time"}
)
"""Asked of both families of Bitget to learn which one an account is (UTA reference, 2)."""
DEFINITE: Final = frozenset({403, 418, 429})
"""What certainly didn't execute: a 403 page stands before the venue, the others are its own."""
CODE: Final = re.compile(r'"code"\s*:\s*"?(\d+)')
OPEN: Final[Mapping[bool, frozenset[int]]] = {
    True: frozenset({30009, 30015, 49999}),
    False: frozenset(
        {40010, 40910, 40015, 45001, 50031, 43059, 40908, 40725, 45023, 45024, 43002, 43003, 42013, 40782, 43137, 40909}
        | {40808, 25000, 25001, 25003, 25239}
    ),
}
"""By whether it is BitMart: codes that leave open whether it happened (BitMart reference, 16; Bitget reference, 15 and UTA, 14).
With 4xx each other one says that it didn't: Bitget answers every business error with 400."""
RATE_LIMITED: Final = 429
BLOCKS: Final = frozenset({403, 418})
LATE: Final = frozenset({"slow-net", "slow", "late-push", "clock-step", "lost-after", "timeout-after"})
"""Under these the guard learns late, or never, what the venue answered."""
LATE_FOR_S: Final = 5.0
OTHER_FAMILY: Final = "other-family"
IN_FLIGHT_S, RESTS_S = 0.5, 1.9
"""A bucket rests for 2 s or its window after a 429; what was under way then still arrives (interfaces.md 6)."""
BANNED: Final = 418
BUCKET_RESTS_S, BAN_RESTS_S, JITTER = (2.0, 120.0), (60.0, 900.0), 1.5
"""First and longest; each time it doubles."""
BLOCK_KNOWN_S, BLOCK_WINDOW_S = 3.0, 25.0
"""Behind a block requests wait for 30 to 60 s, and so do probes and closes: in less than that each comes once."""
CROSS_CHECKED_WITHIN_S: Final = 75.0
"""I29: again each 60 s, and the time of a read that is late."""


@dataclass(slots=True)
class _Life:
    """What one guard has asked."""

    read_at: float = -1e9
    sent: dict[str, float] = field(default_factory=dict)
    """By client id, when its last write left."""
    reads: deque[float] = field(default_factory=lambda: deque(maxlen=64))
    windows: dict[str, deque[float]] = field(default_factory=dict)
    rests: dict[str, float] = field(default_factory=dict)
    """By path, when it was last answered 429."""
    meant: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By client id: whose position, and by which rule."""
    unheard: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict)
    """By position and rule: when an answer was given up, and of which client id."""
    refusals: dict[str | int, tuple[float, int]] = field(default_factory=dict)
    """By path, and of the ban: when it was last refused, and how often in a row."""
    blocked: deque[float] = field(default_factory=deque)
    """When requests met a block, since the last that did not."""


@dataclass(slots=True)
class Requests:
    """`leaving` and `asked` for each request of the account's guards; `life` tells them apart."""

    ground: Ground
    writes: int = 0
    requests: int = 0
    _lives: dict[str, _Life] = field(default_factory=dict)
    _answers: dict[str, tuple[float, RequestStamp]] = field(default_factory=dict)
    """By client id: when its last write arrived, and what it got."""

    def leaving(self, request: WireRequest, data: Path, now: float) -> None:
        """It is about to be handed to the wire."""
        path = request.url.split("?", 1)[0].split("/", 3)[-1]
        if request.method == "GET" or any(each.endswith(path) for each in READS_BY_POST):
            return
        self.writes += 1
        case = self.ground.case
        if case is not None and not case.acts:
            self.ground.breach("I22", now, f"a signed write of an account that is only observed: {path}")
        text = request.url + (request.body or b"").decode(errors="replace")
        self._durable(text, path, data, now)

    def begun(self, life: str) -> None:
        """A guard starts, and knows nothing of what another asked; it may lie where that one has stopped."""
        self._lives.pop(life, None)

    def asked(self, stamp: RequestStamp, now: float, life: str, *, alone: bool = True) -> None:
        """It has arrived, and was judged. `alone`: no second guard, which makes the same ids of the same decisions."""
        self.requests += 1
        mine = self._life(life)
        self._budget(stamp, now, mine)
        self._rest(stamp, now, mine)
        self._blocked(stamp, now, mine)
        if stamp.method == "GET" or stamp.path in READS_BY_POST:
            if stamp.status == 200:
                mine.reads.append(now)
                if any(each in stamp.path for each in POSITIONS):
                    mine.read_at = now
            return
        if any(word in stamp.path for word in NEVER) and stamp.path not in MAY_STAND:
            self.ground.breach("I30", now, f"{stamp.method} {stamp.path} is never asked by the daemon")
        if stamp.path.endswith(ONE_POSITION) and not SYMBOL.search(stamp.body):
            self.ground.breach("I30", now, f"{stamp.path} without a symbol closes everything")
        for client_id in OUR_ID.findall(stamp.body):
            self._again(client_id, stamp, now, mine, alone=alone)

    def unheard(self, request: WireRequest, now: float, life: str) -> None:
        """Nobody at the guard knows what became of it."""
        mine = self._lives.setdefault(life, _Life())
        for client_id in OUR_ID.findall((request.body or b"").decode(errors="replace")):
            purpose = mine.meant.get(client_id)
            if purpose is not None:
                mine.unheard[purpose] = (now, client_id)

    def means(self, intent: Intent, now: float, life: str) -> None:
        """I7: under a new id the same isn't meant again before the guard has looked what became of the first."""
        mine = self._lives.setdefault(life, _Life())
        purpose = (str(intent.key), intent.rule)
        mine.meant[intent.id] = purpose
        given_up = mine.unheard.pop(purpose, None)
        if given_up is None or given_up[1] == intent.id or any(given_up[0] <= at for at in mine.reads):
            return
        text = f"{intent.action} of {intent.key} by {intent.rule} is meant again: nobody has looked what became of {given_up[1]}"
        self.ground.breach("I7", now, text)

    def arrived(self, client_id: str) -> bool:
        """Whether the venue has seen a write of this id."""
        return client_id in self._answers

    def heard_of(self, stamp: RequestStamp, now: float, life: str) -> None:
        """Somebody else's request from the same address: a ban is the address's."""
        if stamp.status == BANNED:
            self._rest(stamp, now, self._lives.setdefault(life, _Life()))

    def closing(self, now: float, life: str) -> None:
        """The guard means to make a position smaller."""
        mine = self._life(life)
        if now - mine.read_at > CROSS_CHECKED_WITHIN_S and self.ground.quiet(now):
            self.ground.breach("I29", now, f"a close, and positions were read {now - mine.read_at:.0f} s ago")

    def _life(self, life: str) -> "_Life":
        known = self._lives.get(life)
        if known is None:
            known = self._lives[life] = _Life()
        return known

    def _again(self, client_id: str, stamp: RequestStamp, now: float, mine: _Life, *, alone: bool) -> None:
        """I7: a write goes a second time only after a definite refusal, or after a read since the first one."""
        before = self._answers.get(client_id)
        self._answers[client_id] = (now, stamp)
        if before is None or self._refused(before[1]) or not alone:
            return
        if not any(before[0] <= at for at in mine.reads):
            got = f"{before[1].status} {before[1].answer[:80]}".rstrip()
            self.ground.breach(
                "I7", now, f"{client_id} goes again without a read; the first one at {before[0]:.2f} s got {got}"
            )

    def _refused(self, stamp: RequestStamp) -> bool:
        """Whether the answer says that nothing was done."""
        if stamp.status in DEFINITE:
            return True
        code = CODE.search(stamp.answer) if 400 <= stamp.status < 500 else None
        case = self.ground.case
        return code is not None and case is not None and int(code.group(1)) not in OPEN[case.place == "bitmart"]

    def _durable(self, text: str, path: str, data: Path, now: float) -> None:
        """I20: what is on the disk at this moment, by another connection than the guard's own."""
        stages = committed(data)
        found = OUR_ID.findall(text)
        for client_id in found:
            if client_id not in stages:
                self.ground.breach("I20", now, f"{path}: {client_id} leaves and the journal doesn't hold it")
            elif stages[client_id] in {"refused", "rejected", "verified", "failed", "void"}:
                self.ground.breach("I20", now, f"{path}: {client_id} leaves, {stages[client_id]} in the journal")
        if not found and not any(stage in {"journalled", "sent", "accepted", "unknown"} for stage in stages.values()):
            self.ground.breach("I20", now, f"{path} leaves and the journal holds nothing that is under way")

    def _budget(self, stamp: RequestStamp, now: float, mine: _Life) -> None:
        """I12, by one life: what a guard that was killed had asked, its successor can't know."""
        case = self.ground.case
        if case is None:
            return
        rate = RATES[case.venue].get((stamp.method, stamp.path))
        if rate is None and stamp.method == "GET" and (stamp.path in PROVES_FAMILY or self._taken_for_other(now)):
            return
        if rate is None:
            self.ground.breach("I30", now, f"{stamp.method} {stamp.path} is no call of {case.venue}")
            return
        self._count(mine, stamp.path, rate.count, rate.window_s, now)
        if case.venue is not SimulatedVenue.BITMART:
            self._count(mine, "overall", OVERALL.count, OVERALL.window_s, now)

    def _taken_for_other(self, now: float) -> bool:
        """The venue says that the account is of its other family: a guard that starts then believes it."""
        return any(span.kind == OTHER_FAMILY and span.from_s <= now <= span.until_s for span in self.ground.spans)

    def _rest(self, stamp: RequestStamp, now: float, mine: _Life) -> None:
        """While a bucket rests, or between the probes of a ban, nobody asks whether the guard acts in time (6)."""
        whose = BANNED if stamp.status == BANNED else stamp.path
        if stamp.status not in {RATE_LIMITED, BANNED}:
            mine.refusals.pop(stamp.path, None)
            mine.refusals.pop(BANNED, None)
            return
        since, count = mine.refusals.get(whose, (-1e9, 0))
        if now - since > IN_FLIGHT_S:  # several refused at once are one refusal
            mine.refusals[whose] = now, count = now, count + 1
        least_s, most_s = BAN_RESTS_S if stamp.status == BANNED else BUCKET_RESTS_S
        rests_s = min(least_s * 2.0 ** (count - 1), most_s) * JITTER
        self.ground.disturbed_until = max(self.ground.disturbed_until, now + rests_s)

    def _blocked(self, stamp: RequestStamp, now: float, mine: _Life) -> None:
        """I12 through blocks: a bucket rests after a 429; behind a block there are probes, retries and one close a position."""
        if not mine.rests and not mine.blocked and stamp.status != RATE_LIMITED and stamp.status not in BLOCKS:
            return
        if any(span.kind in LATE and span.from_s <= now <= span.until_s + LATE_FOR_S for span in self.ground.spans):
            mine.blocked.clear()
            mine.rests.clear()
            return  # what arrives now may have left before the answer came
        since = now - mine.rests.get(stamp.path, -1e9)
        if IN_FLIGHT_S < since < RESTS_S:
            self.ground.breach("I12", now, f"{stamp.path} is asked again {since:.2f} s after its 429")
        if stamp.status == RATE_LIMITED:
            mine.rests[stamp.path] = now
        if stamp.status not in BLOCKS:
            mine.blocked.clear()
            return
        mine.blocked.append(now)
        late = [at for at in mine.blocked if at > max(now - BLOCK_WINDOW_S, mine.blocked[0] + BLOCK_KNOWN_S)]
        allowed = 2 + len(self._may_close(mine))
        if len(late) > allowed:
            self.ground.breach(
                "I12", now, f"{len(late)} requests in {BLOCK_WINDOW_S:g} s behind a block, {allowed} allowed"
            )

    def _may_close(self, mine: _Life) -> set[LegKey]:
        """What the guard may take for held: what is, and what was at its last read. A leg that ended since, by a stop that fired
        behind the block, is flat for a guard only when a read says so (interfaces.md 2.1); until then its close is tried."""
        return {key for key, _ in self.ground.held()} | self.ground.held_at(mine.read_at)

    def _count(self, mine: _Life, name: str, calls: int, window_s: int, now: float) -> None:
        window = mine.windows.setdefault(name, deque())
        window.append(now)
        while window[0] <= now - window_s:
            window.popleft()
        allowed = max(int(EMERGENCY_SHARE * calls), 1)
        if len(window) > allowed:
            self.ground.breach("I12", now, f"{len(window)} calls of {name} in {window_s} s, {allowed} allowed")


def committed(data: Path) -> dict[str, str]:
    """The stage of every intent that a data directory's journal holds durably: in its file, or in the log ahead of it."""
    uri = f"{(data / FILE_NAME).resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        entered = dict(connection.execute("SELECT id, stage FROM intent"))
    return {**dict.fromkeys(_ahead(data), "journalled"), **entered}


def _ahead(data: Path) -> list[str]:
    log = AheadLog.open(data / AHEAD, sync=False)
    if log is None:
        return []
    try:
        return [str(json.loads(text)[1]["id"]) for text in log.read()]
    finally:
        log.close()
