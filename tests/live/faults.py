"""Each fault of the simulated venue, alone, during a fall: `python -m tests.live.faults [name …]` runs them and prints a table.

What is right in each case stands beside the fault; `tests.live.fall` runs and judges.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Final

from guardd.simulator.faults import Fault, FaultKind
from guardd.simulator.run import SimulatedVenue
from tests.changed import replace
from tests.live.fall import NO_TRIM, ONLY_STOPS, Case, Story, did, live_through, verdict, wrongs
from tests.live.places import PLACES, Place

CLOSE: Final = "{close}"
STOP: Final = "{stop}"
PLAN: Final = "{plan}"
POSITIONS: Final = "{positions}"
PLAN_LIST: Final = "{plan_list}"
PRIVATE: Final = "{private}"
TICKERS: Final = "{tickers}"
BLOCKED: Final = "account_blocked|block_began"


def fault(kind: FaultKind, **settings: object) -> Fault:
    return replace(
        Fault(name=f"{kind}-{settings.get('target', '')}{settings.get('symbol', '')}", kind=kind), **settings
    )  # type: ignore[arg-type]


K = FaultKind
NOT_BITGET: Final = frozenset({SimulatedVenue.BITGET, SimulatedVenue.BITGET_UNIFIED})
SHOWN: Final = Decimal("0.035")
"""So late in the fall the private stream has shown the positions once: before, no first reduction may go (I29)."""
CASES: Final = (
    Case(name="none", everywhere=True),
    # Lost answers
    Case(name="timeout-before: trim", faults=(fault(K.TIMEOUT_BEFORE, target=CLOSE, times=1),), wait_s=8),
    Case(name="timeout-after: trim", faults=(fault(K.TIMEOUT_AFTER, target=CLOSE, times=1),), wait_s=8),
    Case(
        name="timeout-before: close", faults=(fault(K.TIMEOUT_BEFORE, target=CLOSE, times=1),), policy=NO_TRIM, wait_s=8
    ),
    Case(
        name="timeout-after: close",
        everywhere=True,
        faults=(fault(K.TIMEOUT_AFTER, target=CLOSE, times=1),),
        policy=NO_TRIM,
        wait_s=8,
    ),
    Case(name="timeout-before: stop", everywhere=True, early=(fault(K.TIMEOUT_BEFORE, target=STOP, times=1),)),
    Case(name="timeout-after: stop", everywhere=True, early=(fault(K.TIMEOUT_AFTER, target=STOP, times=1),)),
    Case(
        name="timeout-before: reads",
        faults=(fault(K.TIMEOUT_BEFORE, target=POSITIONS),),
        ends="safe",
        told=("can't be judged",),
        told_within_s=7.0,
    ),
    Case(name="slow: writes 1.5 s", faults=(fault(K.SLOW, target=CLOSE, delay_ms=1500),)),
    Case(name="slow: writes 3 s", faults=(fault(K.SLOW, target=CLOSE, delay_ms=3000),), policy=NO_TRIM),
    Case(name="slow: reads 0.8 s", quick=False, faults=(fault(K.SLOW, target="{slow_reads}", delay_ms=800),)),
    # Cloudflare
    Case(
        name="cloudflare-403",
        everywhere=True,
        faults=(fault(K.CLOUDFLARE_403),),
        ends="stopped",
        told=(BLOCKED,),
        sends_at_most=6,
        tries_closes=True,
        wait_s=3,
    ),
    Case(
        name="cloudflare-1010",
        faults=(fault(K.CLOUDFLARE_1010),),
        ends="stopped",
        told=(BLOCKED,),
        sends_at_most=6,
        tries_closes=True,
        wait_s=3,
    ),
    Case(
        name="cloudflare-503",
        faults=(fault(K.CLOUDFLARE_503),),
        ends="stopped",
        told=(BLOCKED,),
        sends_at_most=6,
        tries_closes=True,
        wait_s=3,
        unread=True,
    ),
    Case(name="agent-check", early=(fault(K.AGENT_CHECK),), strikes=False),
    # Limits
    Case(
        name="too-many: close",
        everywhere=True,
        faults=(fault(K.TOO_MANY, target=CLOSE, times=1),),
        policy=NO_TRIM,
        pauses=CLOSE,
    ),
    Case(
        name="too-many: position reads",
        faults=(fault(K.TOO_MANY, target=POSITIONS),),
        told=("rate_limit",),
        ends="safe",
        pauses=POSITIONS,
    ),
    Case(
        name="banned",
        not_at=NOT_BITGET,  # knows no ban, only limits
        faults=(fault(K.BANNED),),
        ends="stopped",
        told=(BLOCKED,),
        sends_at_most=4,
        wait_s=3,
    ),
    # The exchange's own trouble
    Case(name="unavailable: close", faults=(fault(K.UNAVAILABLE, target=CLOSE, times=2),), policy=NO_TRIM),
    Case(name="error-html: close", faults=(fault(K.ERROR_HTML, target=CLOSE, times=1),), policy=NO_TRIM, wait_s=8),
    Case(name="error-html: reads", quick=False, faults=(fault(K.ERROR_HTML, target=POSITIONS, rate=0.5),)),
    Case(name="maintenance: everything, 4 s", faults=(fault(K.MAINTENANCE),), seconds=4, ends="safe"),
    Case(name="maintenance: close", quick=False, faults=(fault(K.MAINTENANCE, target=CLOSE, times=2),), policy=NO_TRIM),
    Case(
        name="refuse, system error: close", faults=(fault(K.REFUSE, target=CLOSE, times=1, code=40012),), policy=NO_TRIM
    ),
    Case(
        name="refuse, clock: close",
        everywhere=True,
        faults=(fault(K.REFUSE, target=CLOSE, times=1, code=30007),),
        policy=NO_TRIM,
    ),
    Case(name="refuse, paused: close", faults=(fault(K.REFUSE, target=CLOSE, times=1, code=40015),), policy=NO_TRIM),
    Case(
        name="refuse, volume: close",
        everywhere=True,
        quick=False,
        faults=(fault(K.REFUSE, target=CLOSE, times=1, code=40020),),
        policy=NO_TRIM,
    ),
    # Reads that lie
    Case(name="stale-read: positions", faults=(fault(K.STALE_READ, target=POSITIONS),), swept=False),
    Case(name="stale-read: everything", quick=False, faults=(fault(K.STALE_READ, target=PRIVATE),), ends="safe"),
    Case(name="empty-read: positions once", everywhere=True, faults=(fault(K.EMPTY_READ, target=POSITIONS, times=1),)),
    Case(name="empty-read: positions 3 s", faults=(fault(K.EMPTY_READ, target=POSITIONS),), seconds=3),
    Case(name="empty-read: plan list", everywhere=True, faults=(fault(K.EMPTY_READ, target=PLAN_LIST),), swept=False),
    # Streams
    Case(name="drop-push: tickers", faults=(fault(K.DROP_PUSH, target=TICKERS),)),
    Case(name="drop-push: private", everywhere=True, faults=(fault(K.DROP_PUSH, target="{private_pushes}"),), at=SHOWN),
    Case(
        name="drop-push: private, from the start",
        early=(fault(K.DROP_PUSH, target="{private_pushes}"),),
        ends="stopped",
        told=("is not sent: I29",),
        told_within_s=20.0,
        quick=False,
    ),
    Case(name="drop-push: half of all", quick=False, faults=(fault(K.DROP_PUSH, rate=0.5),), at=SHOWN),
    Case(name="late-push: tickers 2 s", faults=(fault(K.LATE_PUSH, target=TICKERS, delay_ms=2000),)),
    Case(
        name="late-push: private 2 s",
        quick=False,
        faults=(fault(K.LATE_PUSH, target="{private_pushes}", delay_ms=2000),),
        at=SHOWN,
    ),
    Case(name="duplicate-push", faults=(fault(K.DUPLICATE_PUSH),)),
    Case(name="reorder-push", faults=(fault(K.REORDER_PUSH, rate=0.5),)),
    Case(name="freeze-socket: public", quick=False, faults=(fault(K.FREEZE_SOCKET, target="{public_socket}"),)),
    Case(
        name="freeze-socket: private",
        quick=False,
        faults=(fault(K.FREEZE_SOCKET, target="{private_socket}"),),
        at=SHOWN,
    ),
    Case(name="freeze-socket: both", faults=(fault(K.FREEZE_SOCKET),), at=SHOWN),
    Case(name="close-socket: both, once", faults=(fault(K.CLOSE_SOCKET, times=2),), told=("stream_down",)),
    Case(name="close-socket: again and again", faults=(fault(K.CLOSE_SOCKET),), seconds=5, told=("stream_down",)),
    Case(
        name="refuse-login",
        everywhere=True,
        at=SHOWN,
        faults=(fault(K.REFUSE_LOGIN), fault(K.CLOSE_SOCKET, target="{private_socket}", times=1)),
        told=("stream_down",),
    ),
    Case(
        name="login-unavailable",
        at=SHOWN,
        faults=(fault(K.LOGIN_UNAVAILABLE), fault(K.CLOSE_SOCKET, target="{private_socket}", times=1)),
        told=("stream_down",),
    ),
    # Prices that lie
    Case(
        name="bad-tick: half the price, once",
        faults=(
            fault(K.BAD_TICK, factor="0.5", symbol="BTCUSDT", times=1),
            fault(K.BAD_TICK, factor="0.5", symbol="SOLUSDT", times=1),
        ),
        depth=Decimal("0.02"),
        ends="held",
        wait_s=2,
    ),
    Case(
        name="bad-tick: 5 % low, once",
        quick=False,
        faults=(
            fault(K.BAD_TICK, factor="0.95", symbol="BTCUSDT", times=1),
            fault(K.BAD_TICK, factor="0.95", symbol="SOLUSDT", times=1),
        ),
        depth=Decimal("0.02"),
        ends="held",
        wait_s=2,
    ),
    Case(
        name="bad-tick: 20 % high, now and then",
        faults=(fault(K.BAD_TICK, factor="1.2", rate=0.3),),
    ),
    # The venue itself
    Case(name="clock-offset: 4 s, from the start", quick=False, early=(fault(K.CLOCK_OFFSET, offset_ms=4000),)),
    Case(name="clock-offset: jumps by 90 s", faults=(fault(K.CLOCK_OFFSET, offset_ms=90_000),), wait_s=8),
    Case(name="partial-fill", everywhere=True, faults=(fault(K.PARTIAL_FILL, factor="0.3", delay_ms=300),)),
    Case(
        name="plan-fails: both stops",
        everywhere=True,
        faults=(fault(K.PLAN_FAILS),),
        policy=ONLY_STOPS,
        ends="safe",
        wait_s=0.2,
        unprotected_ms=None,
    ),
    Case(
        name="closing: from the start",
        not_at=NOT_BITGET,  # no code there says that the venue as a whole ends
        early=(fault(K.CLOSING),),
        protected=False,
        unprotected_ms=None,
        told=("venue_closing",),
    ),
    Case(name="closing: during the fall", quick=False, faults=(fault(K.CLOSING),), policy=NO_TRIM, strikes=False),
    Case(
        name="refuse TP/SL",
        everywhere=True,
        not_at=frozenset({SimulatedVenue.BITGET_UNIFIED}),  # no plan order there is sure to only close: the next case
        early=(fault(K.REFUSE, target=STOP, code=40011),),
        policy=ONLY_STOPS,
        ends="stopped",
        wait_s=0.2,
    ),
    Case(
        name="refuse TP/SL and plans: software stop",
        everywhere=True,
        early=(fault(K.REFUSE, target=STOP, code=40011), fault(K.REFUSE, target=PLAN, code=40011)),
        policy=ONLY_STOPS,
        ends="safe",
        wait_s=0.2,
        protected=False,
        unprotected_ms=None,
    ),
    # What takes its time: not in CI
    Case(
        name="cloudflare-403: 8 s, then free",
        faults=(fault(K.CLOUDFLARE_403),),
        seconds=8,
        wait_s=75,
        quick=False,
        told=(BLOCKED,),
        sends_at_most=6,
        tries_closes=True,
    ),
    Case(
        name="cloudflare-503: 8 s, then free",
        faults=(fault(K.CLOUDFLARE_503),),
        seconds=8,
        wait_s=90,
        quick=False,
        told=(BLOCKED,),
    ),
    Case(
        name="banned: 8 s, then free",
        not_at=NOT_BITGET,
        faults=(fault(K.BANNED),),
        seconds=8,
        wait_s=75,
        quick=False,
        told=(BLOCKED,),
        sends_at_most=4,
    ),
    Case(
        name="freeze-socket: both, 40 s",
        faults=(fault(K.FREEZE_SOCKET),),
        policy=ONLY_STOPS,
        depth=Decimal("0.02"),
        ends="held",
        wait_s=45,
        quick=False,
        told=("stream_down",),
        told_within_s=33,
    ),
    Case(
        name="cancel-without-data",
        not_at=NOT_BITGET,  # a habit of BitMart's alone
        faults=(fault(K.CANCEL_WITHOUT_DATA),),
    ),
)


async def tell(
    case: Case, verbose: str | None, gate: asyncio.Semaphore, place: Place
) -> tuple[Case, Story | None, list[str]]:
    async with gate:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as home:
            try:
                story = await live_through(case, Path(home), place)
            except AssertionError as error:
                return case, None, [str(error)]
    found = wrongs(story)
    if verbose is not None:
        out = Path(verbose) / f"{case.name.replace(' ', '-').replace(':', '').replace('/', '-')}.log"
        lines = [json.dumps(line) for line in story.log] + [
            json.dumps(row.as_json()) for row in story.ledger.rows(uid="main")
        ]
        lines += [f"{s.sequence} {s.mono_ns / 1e9:.3f} {s.method} {s.path} {s.status} {s.body}" for s in story.stamps]
        out.write_text("\n".join([f"hit_at {story.hit_at} hits {story.hits}", *lines]))
    print(f"{case.name:40} {time.monotonic() - began:5.1f} s {verdict(found)}", file=sys.stderr, flush=True)
    return case, story, found


async def main(names: list[str], at_once: int, verbose: str | None, place: Place) -> int:
    here = [case for case in CASES if place.venue not in case.not_at]
    chosen = [case for case in here if not names or any(name in case.name for name in names)]
    gate = asyncio.Semaphore(at_once)
    told = await asyncio.gather(*(tell(case, verbose, gate, place) for case in chosen))
    print("| fault | what the guard did | verdict |\n|---|---|---|")
    for case, story, found in told:
        print(f"| {case.name} | {did(story) if story is not None else 'the scene never came up'} | {verdict(found)} |")
    return 1 if any(found for _, _, found in told) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only cases whose name contains one of these")
    parser.add_argument("--at-once", type=int, default=3)
    parser.add_argument("--logs", metavar="DIR", help="write log, ledger and requests of each case here")
    parser.add_argument("--venue", type=SimulatedVenue, choices=tuple(PLACES), default=SimulatedVenue.BITMART)
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.names, given.at_once, given.logs, PLACES[given.venue])))
