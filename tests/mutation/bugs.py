"""Deliberate bugs, and what catches each: `python -m tests.mutation.bugs [--only NAME] [--by simulation|tests] [--into FILE]`.

Each is a mistake that somebody could make, as exact patches of guardd's code (`test_bugs.py` holds them to the code as it is). They
are made one at a time in a copy of the tree. All must be caught by something, and at least ten by the simulation alone.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from tests.mutation.caught import Catch, by_simulation, by_tests
from tests.mutation.patch import Bug, Edit, copied, stale

BY_SIMULATION_MIN: Final = 10

_APPROVE: Final = "guardd/execution/approve.py"
_EXECUTOR: Final = "guardd/execution/executor.py"
_RECONCILE: Final = "guardd/execution/reconcile.py"
_SCENE: Final = "guardd/execution/scene.py"
_WINDOWS: Final = "guardd/execution/windows.py"
_FOLD: Final = "guardd/model/fold.py"
_GUARD: Final = "guardd/daemon/guard.py"
_MEMORY: Final = "guardd/policy/memory.py"
_LEVERS: Final = "guardd/execution/judge_levers.py"
_CLASSIC: Final = "guardd/venues/bitget/classic/bodies.py"
_UNIFIED: Final = "guardd/venues/bitget/unified/bodies.py"


def _bug(
    name: str,
    says: str,
    file: str,
    old: str,
    new: str,
    *tests: str,
    also: Sequence[Edit] = (),
    faults: str = "",
    venue: str = "",
) -> Bug:
    return Bug(name=name, says=says, edits=(Edit(file, old, new), *also), tests=tests, faults=faults, venue=venue)


BUGS: Final = (
    # What becomes of a request
    _bug(
        "ack-ignored",
        "The venue's acceptance is taken for a refusal, and the same is asked for again.",
        _EXECUTOR,
        "                self._move(intent, Stage.ACCEPTED, outcome=outcome, order_id=outcome.order_id)\n"
        "                await self._read_back(intent, outcome.order_id)\n"
        "            case Rejected():",
        '                self._end(intent, Finding(stage=Stage.REJECTED, detail="no answer was understood"))\n'
        "            case Rejected():",
        "tests/execution/test_executor.py",
    ),
    _bug(
        "unknown-resent",
        "An outcome that nobody knows is taken for a refusal: the next try goes under a new id (I7).",
        _EXECUTOR,
        "                self._move(intent, Stage.UNKNOWN, outcome=outcome, detail=outcome.why)\n"
        "                await self._resolve(intent, None)",
        "                self._move(intent, Stage.UNKNOWN, outcome=outcome, detail=outcome.why)\n"
        "                self._end(intent, Finding(stage=Stage.REJECTED, detail=outcome.why))",
        "tests/execution/test_executor.py",
        faults="timeout-after,lost-after",
    ),
    _bug(
        "journal-after-request",
        "A request leaves while its intent is still being made durable (I20).",
        _EXECUTOR,
        "                await durable\n",
        "                self._noting = asyncio.ensure_future(durable)\n",
        "tests/execution/test_executor.py",
        faults="disk-slow,kill",
    ),
    _bug(
        "resume-forgotten",
        "Nobody finds out what became of the intents of the run before (I8).",
        _EXECUTOR,
        "            if self._carries(intent.id) or not self._open:",
        "            if self._carries(intent.id) or not self._open or pending.earlier_run:",
        "tests/execution/test_awaken.py",
        faults="kill,timeout-after",
    ),
    _bug(
        "absence-too-early",
        "One look that doesn't show an order proves that it never arrived (I7).",
        "guardd/execution/resolve.py",
        "LOOKS: Final = 3",
        "LOOKS: Final = 1",
        "tests/execution/test_executor.py",
        also=[Edit("guardd/execution/resolve.py", "apart_s / (LOOKS - 1)", "apart_s")],
        faults="timeout-after,slow-net,kill",
    ),
    _bug(
        "own-fill-forgotten",
        "A fill of ours that no read shows yet is not subtracted: a close goes for more than is left (I2).",
        _WINDOWS,
        "        unseen = intent.closed_before + finished.filled - closed",
        "        unseen = Decimal(0)",
        "tests/execution/test_approve.py",
        faults="stale-read,partial-fill",
    ),
    _bug(
        "in-flight-forgotten",
        "Closes that are under way don't count against what may be closed (I1).",
        _WINDOWS,
        "        (p.intent.write.size for p in state.in_flight(key) if isinstance(p.intent.write, CloseAtMarket)), Decimal(0)",
        "        (p.intent.write.size for p in () if isinstance(p.intent.write, CloseAtMarket)), Decimal(0)",
        "tests/execution/test_approve.py",
    ),
    # Orders
    _bug(
        "side-swapped-classic",
        "Bitget classic: a close in hedge mode names the side of one-way mode (I30).",
        _CLASSIC,
        '        return {"side": POSITION_SIDE[side], "tradeSide": "close"}',
        '        return {"side": AGAINST[side], "tradeSide": "close"}',
        "tests/venues/bitget/classic/test_bodies.py",
        faults="none",
        venue="bitget",
    ),
    _bug(
        "side-swapped-unified",
        "Bitget unified: a close in hedge mode has the side that the classic venue wants, and opens (I30).",
        _UNIFIED,
        '            return {"side": side, "posSide": key.side.value}',
        '            return {"side": CLOSING_SIDE[key.side.opposite], "posSide": key.side.value}',
        "tests/venues/bitget/unified/test_bodies.py",
        faults="none",
        venue="bitget-unified",
    ),
    _bug(
        "side-swapped-bitmart",
        "BitMart: a long is closed by the side that opens one (I30).",
        "guardd/venues/bitmart/bodies.py",
        '    body: Body = {"symbol": write.key.symbol, "side": CLOSING_SIDE[write.key.side]}',
        '    body: Body = {"symbol": write.key.symbol, "side": {3: 1, 2: 4}[CLOSING_SIDE[write.key.side]]}',
        "tests/venues/bitmart/test_bodies.py",
        faults="none",
        venue="bitmart",
    ),
    _bug(
        "reduce-only-lost",
        "Bitget: a close in one-way mode may open (I1).",
        _UNIFIED,
        '            return {"side": side, "reduceOnly": "yes"}',
        '            return {"side": side}',
        "tests/venues/bitget/unified/test_bodies.py",
        also=[
            Edit(
                _CLASSIC,
                '    return {"side": AGAINST[side], "reduceOnly": "YES"}',
                '    return {"side": AGAINST[side]}',
            )
        ],
        faults="none",
        venue="bitget-unified",
    ),
    _bug(
        "size-above-held",
        "A close asks for twice what is held (I1).",
        _APPROVE,
        "    quantity = confirmed_quantity(state, write.key)\n    free =",
        "    quantity = 2 * confirmed_quantity(state, write.key)\n    free =",
        "tests/execution/test_approve.py",
    ),
    _bug(
        "rounded-away",
        "Triggers are rounded away from the mark (I18).",
        _APPROVE,
        "    below = (key.side.sign > 0) == (kind is ProtectionKind.STOP_LOSS)",
        "    below = (key.side.sign > 0) != (kind is ProtectionKind.STOP_LOSS)",
        "tests/execution/test_approve.py",
        also=[
            Edit(
                "guardd/policy/placing.py",
                "    for rounded in (up, down) if at.sign > 0 else (down, up):",
                "    for rounded in (down, up) if at.sign > 0 else (up, down):",
            )
        ],
    ),
    _bug(
        "tick-ignored",
        "Prices are put on a grid ten times finer than the venue's (I18).",
        "guardd/model/instrument.py",
        "        return _on_grid(price, self.tick, ROUND_CEILING)",
        "        return _on_grid(price, self.tick / 10, ROUND_CEILING)",
        "tests/model/test_instrument.py",
        also=[
            Edit(
                "guardd/model/instrument.py",
                "        return _on_grid(price, self.tick, ROUND_FLOOR)",
                "        return _on_grid(price, self.tick / 10, ROUND_FLOOR)",
            )
        ],
    ),
    _bug(
        "tick-off-by-one",
        "A rule is looked at one tick after the price at which it turns true.",
        "guardd/policy/watch.py",
        "        if mark < bounds.low or mark > bounds.high:",
        "        if mark < bounds.low * Decimal('0.9999') or mark > bounds.high * Decimal('1.0001'):",
        "tests/policy/test_watch.py",
    ),
    _bug(
        "float-used",
        "Prices and sizes are divided as floats: 0.3 of 0.1 is two steps (I19).",
        "guardd/model/instrument.py",
        "    return (value / grid).to_integral_value(rounding=rounding) * grid",
        "    return Decimal(float(value) / float(grid)).to_integral_value(rounding=rounding) * grid",
        "tests/model/test_instrument.py",
    ),
    _bug(
        "multiplier-wrong",
        "BitMart's contracts are taken for coins.",
        "guardd/venues/bitmart/parse/market.py",
        '        contract_size=row.above_zero("contract_size"),',
        "        contract_size=Decimal(1),",
        "tests/venues/bitmart/test_parse.py",
        "tests/venues/bitmart/test_samples.py",
        faults="none",
        venue="bitmart",
    ),
    # Stops
    _bug(
        "stop-cancelled-first",
        "A stop ends before what shall take its place was placed (I3).",
        _RECONCILE,
        '    if form is not None:\n        reason = f"replaces {plan.order_id}: {why}"',
        '    if form is None:\n        reason = f"replaces {plan.order_id}: {why}"',
        "tests/execution/test_reconcile.py",
        also=[
            Edit(
                _RECONCILE,
                "    if venue_allows_one(scene.state, scene.held.key, slot.kind, scene.now):",
                "    if True:",
            ),
            Edit(
                _APPROVE,
                "    if proposal.gap_allowed and venue_allows_one(state, write.key, plan.protection, now):",
                "    if proposal.gap_allowed:",
            ),
        ],
        faults="refuse",
    ),
    _bug(
        "two-stops-left",
        "The stop that was replaced is left resting (I5).",
        _RECONCILE,
        "    return Steps(proposals=tuple(_end(plan, kept, scene) for plan in others))",
        "    return Steps()",
        "tests/execution/test_reconcile.py",
        faults="tick,refuse",
    ),
    _bug(
        "ratchet-lost",
        "A stop follows the policy's price away from the mark (I11).",
        "guardd/policy/placing.py",
        "        return max(price, other) if self.sign > 0 else min(price, other)",
        "        return price",
        "tests/policy/test_stops.py",
        also=[
            Edit(
                "guardd/policy/stops.py",
                "price = kept if rung is None else at.tighter(kept, rung.trigger_price)",
                "price = kept if rung is None else rung.trigger_price",
            ),
            Edit(_SCENE, "        if adequate(plan, trigger, scene.bounds):", "        if False:"),
            Edit(
                _SCENE,
                "        return as_tight(plan.trigger_price, slot.wanted.trigger_price, plan.key.side)",
                "        return plan.trigger_price == slot.wanted.trigger_price",
            ),
            Edit(
                _APPROVE, "(tighter < 0 or (tighter == 0 and size == plan.size))", "tighter == 0 and size == plan.size"
            ),
        ],
    ),
    _bug(
        "beyond-liquidation",
        "A stop may lie where the position is liquidated before it fires (I4).",
        "guardd/policy/placing.py",
        "    if is_value(bound) and at.sign * (price - bound) <= 0:\n        price = bound + CLEAR",
        "    if False:\n        price = bound + CLEAR",
        "tests/policy/test_stops.py",
        also=[
            Edit(
                "guardd/policy/placing.py",
                "        clear = not is_value(bound) or at.sign * (rounded - bound) > 0",
                "        clear = True",
            ),
            Edit(
                _APPROVE,
                "    if kind is ProtectionKind.STOP_LOSS and is_value(limit) and (trigger - limit) * sign <= 0:",
                "    if False:",
            ),
        ],
    ),
    _bug(
        "flat-cleanup-forgotten",
        "Orders of ours outlive their position (I6).",
        "guardd/execution/sweep.py",
        "    return Steps(proposals=tuple(_cancel(order) for order in left if order.order_id not in ending))",
        "    return Steps()",
        "tests/execution/test_closing.py",
        faults="none",
        venue="bitmart",
    ),
    _bug(
        "foreign-cancelled",
        "Whatever rests on a position that is gone is cancelled, the owner's orders too (I13).",
        "guardd/execution/sweep.py",
        "if order.closes and made_by_us(state, order) and order.key",
        "if order.key",
        "tests/execution/test_closing.py",
        also=[
            Edit(
                _APPROVE,
                "        case Action.CANCEL_PROTECTION if not made_by_us(state, order):",
                "        case Action.CANCEL_PROTECTION if False:",
            )
        ],
        faults="none",
    ),
    # What is believed
    _bug(
        "stale-accepted",
        "No figure is ever too old to decide on (I9).",
        "guardd/risk/ages.py",
        "    return age_s is None or age_s > limit_s",
        "    return age_s is None",
        "tests/risk/test_ages.py",
        faults="outage,freeze-socket",
    ),
    _bug(
        "older-row-believed",
        "A read that is older than what is known takes its place.",
        "guardd/model/positions.py",
        "    if row.venue_ms < held.position.venue_ms:",
        "    if False:",
        "tests/model/test_fold_positions.py",
        faults="stale-read",
    ),
    _bug(
        "empty-read-believed",
        "One read without a position makes it flat (I6).",
        "guardd/model/lives.py",
        "    if held.missing_since is None:\n        held.missing_since, held.missing_reads = event.started, 1",
        '    if held.missing_since is None:\n        return [end(state, held, "a read doesn\'t show it")]',
        "tests/model/test_fold_positions.py",
        faults="empty-read",
    ),
    _bug(
        "bad-tick-believed",
        "A single frame closes a position (I28).",
        "guardd/policy/confirm.py",
        "        if any(past(price) for price in _witnesses(known, present, rest)):",
        "        if past(present.mark):",
        "tests/policy/test_confirm.py",
        faults="bad-tick",
    ),
    _bug(
        "cross-check-off",
        "Figures that contradict each other hold nothing back (I29).",
        "guardd/risk/crosscheck.py",
        "    found.extend(_mode(state, now))\n    return tuple(found)",
        "    return ()",
        "tests/risk/test_crosscheck.py",
    ),
    _bug(
        "reconnect-without-read",
        "Nothing is read anew when a stream comes back.",
        _GUARD,
        "            case NewsKind.STREAM_UP:\n                self.reader.want_full()",
        "            case NewsKind.STREAM_UP:\n                pass",
        "tests/daemon/test_guard_seen.py",
        faults="close-socket,freeze-socket",
    ),
    _bug(
        "clock-offset-ignored",
        "Requests are signed with this machine's time instead of the venue's.",
        "guardd/venues/venue_time.py",
        "        if self._sample is None:\n            return now.wall_ms\n",
        "        if self._sample is not None:\n            return now.wall_ms\n",
        "tests/venues/test_venue_time.py",
        faults="clock-step,clock-offset",
    ),
    _bug(
        "maintenance-of-first-tier",
        "The maintenance margin is always that of the first tier.",
        "guardd/risk/tiers.py",
        "        if notional < tier.cap:\n            return tier",
        "        return tier",
        "tests/risk/test_liquidation.py",
    ),
    # When it may act
    _bug(
        "observe-writes",
        "Writes are sent before CONFIRM and in observe mode (I22).",
        _APPROVE,
        "    if not state.armed:",
        "    if False:",
        "tests/execution/test_approve.py",
    ),
    _bug(
        "foreign-guard-unseen",
        "Orders of another guardd on the account are nothing to this one (I14).",
        _GUARD,
        "        if rivals is not None:\n            self.absorb(ForeignGuardSeen",
        "        if False:\n            self.absorb(ForeignGuardSeen",
        "tests/daemon/test_guard_seen.py",
        faults="twin",
    ),
    _bug(
        "cooldown-lost",
        "A rule's steps follow one another without its cooldown.",
        _MEMORY,
        "    return now.seconds_since(progress.verified) < rule.cooldown_s",
        "    return False",
        "tests/policy/test_decide.py",
    ),
    _bug(
        "cooldown-lost-at-restart",
        "A restart begins every window anew (I24).",
        "guardd/execution/awaken.py",
        "    if doubted or elapsed_ms < 0:\n        elapsed_ms = LONG_AGO_MS if exempt else 0",
        "    elapsed_ms = 25 * LONG_AGO_MS",
        "tests/execution/test_awaken.py",
        faults="kill",
    ),
    _bug(
        "first-sight-hold-lost",
        "A rule that is true when a position is first seen acts on it at once.",
        _MEMORY,
        "        memory.held_at = None if shown else distance",
        "        memory.held_at = None",
        "tests/policy/test_decide.py",
    ),
    _bug(
        "limiter-off",
        "Every request has a token (I12).",
        "guardd/venues/limiter.py",
        "        if too_many <= 0:\n            return 0",
        "        return 0",
        "tests/venues/test_limiter.py",
        faults="none",
    ),
    _bug(
        "pause-ignored",
        "A bucket that was answered 429 goes on (I12).",
        "guardd/venues/limiter.py",
        "        if now_ns < paused_until_ns:\n            why",
        "        if False:\n            why",
        "tests/venues/test_limiter.py",
        faults="too-many",
    ),
    _bug(
        "block-ignored",
        "A block page changes nothing about what is sent (I12).",
        "guardd/venues/block.py",
        "        self._block = NEXT[before, sign]",
        "        self._block = before",
        "tests/venues/test_block.py",
        faults="cloudflare-403,banned",
    ),
    _bug(
        "retries-without-pause",
        "What was refused goes again with the next event.",
        _APPROVE,
        "    if held_back is not None and now.mono_ns < held_back.mono_ns:",
        "    if False:",
        "tests/execution/test_approve.py",
        faults="reduce-only,maintenance",
    ),
    # More behind a position
    _bug(
        "top-up-without-cap",
        "What may be moved in a day has no bound (I16).",
        _LEVERS,
        "    if went + amount <= leash.top_up_per_day:",
        "    if True:",
        "tests/execution/test_levers.py",
        "tests/execution/test_lever_laws.py",
    ),
    _bug(
        "leverage-raised",
        "A change of leverage upwards is let through (I17).",
        _LEVERS,
        "    if not is_value(leverage) or write.leverage >= leverage or write.leverage < 1:",
        "    if not is_value(leverage) or write.leverage < 1:",
        "tests/execution/test_approve.py",
    ),
    # The journal
    _bug(
        "chain-cut",
        "A record's hash is of its own text alone (I20).",
        "guardd/journal/store.py",
        '    return hashlib.sha256(f"{previous}\\n{text}".encode()).hexdigest()',
        "    return hashlib.sha256(text.encode()).hexdigest()",
        "tests/journal",
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[], help="the name of one; may be given again")
    parser.add_argument("--by", choices=("simulation", "tests"), help="only by this; otherwise by both")
    parser.add_argument("--seeds", default="1..20", help="stories that are tried until one shows it")
    parser.add_argument("--hours", type=float, default=0.1, help="of each story")
    parser.add_argument(
        "--into", type=Path, help="one JSON line for each bug is appended; what is there is not tried again"
    )
    given = parser.parse_args()
    chosen = [bug for bug in BUGS if not given.only or bug.name in given.only]
    if wrong := [why for bug in chosen if (why := stale(bug))]:
        print("\n".join(wrong))
        return 2
    known = _known(given.into)
    with copied() as place:
        for bug in chosen:
            for way in ("tests", "simulation"):
                if given.by not in (None, way) or (bug.name, way) in known:
                    continue
                if way == "tests":
                    catch = by_tests(bug, place)
                else:
                    catch = by_simulation(bug, place, seeds=given.seeds, seconds=given.hours * 3600)
                known[bug.name, way] = catch
                print(f"{bug.name}: {way}: {catch.by or 'NOT CAUGHT'} ({catch.took_s:.0f} s) {catch.found}", flush=True)
                if given.into:
                    with given.into.open("a") as file:
                        file.write(json.dumps({"way": way, **asdict(catch)}) + "\n")
    print(_table(chosen, known))
    caught = [bug for bug in chosen if any(known.get((bug.name, way), _NONE).by for way in ("tests", "simulation"))]
    simulated_only = sum(1 for bug in chosen if known.get((bug.name, "simulation"), _NONE).by)
    print(f"{len(caught)} of {len(chosen)} caught; {simulated_only} by the simulation alone")
    enough = given.only or given.by == "tests" or simulated_only >= BY_SIMULATION_MIN
    return 0 if enough and (len(caught) == len(chosen) or given.by == "simulation") else 1


_NONE: Final = Catch(bug="", by="")


def _known(path: Path | None) -> dict[tuple[str, str], Catch]:
    found: dict[tuple[str, str], Catch] = {}
    for line in path.read_text().splitlines() if path and path.exists() else ():
        row = json.loads(line)
        way = row.pop("way")
        found[row["bug"], way] = Catch(**row)
    return found


def _table(chosen: Sequence[Bug], known: dict[tuple[str, str], Catch]) -> str:
    lines = ["| bug | what it is | by the simulation | after | by the test |", "|---|---|---|---|---|"]
    for bug in chosen:
        story, test = known.get((bug.name, "simulation")), known.get((bug.name, "tests"))
        shown = "not tried" if story is None else story.found.replace("|", "/")[:110] if story.by else "no"
        after = f"{story.stories} stories ({story.by})" if story is not None and story.by else ""
        named = "not tried" if test is None else f"`{test.by}`" if test.by else "**none**"
        lines.append(f"| {bug.name} | {bug.says} | {shown} | {after} | {named} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
