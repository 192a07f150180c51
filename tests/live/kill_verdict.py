"""What a kill must not have changed, read from the exchange's ledger; and what the journal says that each order was meant to be."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Final

from guardd.journal.canonical import decoded
from guardd.journal.entry import RecordKind
from guardd.journal.reading import JournalReader
from guardd.model.intent import CLIENT_ID_PREFIX, FINISHED, Intent, Stage
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import PlanKind, PositionSide
from guardd.simulator.records import PositionView
from guardd.simulator.truth import exposure_increases, most_live_stops, repeated_client_ids, unprotected_spans
from tests.live.desk import Desk

POLICY: Final = """\
version: 1
limits: {orders_per_minute: 60}
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: {from_entry: -8%}}
      - take_profit: {trigger: {from_entry: 6%}}
  - name: trim
    when: {distance_to_liquidation: {below: 6%}}
    cooldown: 5m
    then:
      - reduce: {by: 25%}
  - name: last-resort
    when: {buffer_left: {below: 35%}}
    then: [close: {}]
"""
STOP_RATIO, PROFIT_RATIO = Decimal("0.08"), Decimal("0.06")
PROTECTED_S_MAX: Final = 5.0


class Breach(Exception):
    """Something that must never be."""


@dataclass(slots=True, kw_only=True)
class Left:
    """An intent that was in flight when the guard was killed."""

    intent: Intent
    stage: str
    executed: bool
    """The ledger had its order before the next guard was started."""
    became: str = "not resolved"


# What the ledger says


def executions(desk: Desk) -> Counter[str]:
    """How often the exchange took an order or plan order under each of our client ids."""
    ledger = desk.server.exchange.ledger
    rows = [*ledger.rows(uid="main", kind=RowKind.ORDER_ACCEPTED)]
    rows += [row for row in ledger.rows(uid="main", kind=RowKind.PLAN) if row.details["action"] == "placed"]
    ids = (str(row.details["client_id"]).partition("-")[0] for row in rows)  # a dialect may mark what it hangs on an id
    return Counter(client for client in ids if client.startswith(CLIENT_ID_PREFIX))


def resting(desk: Desk) -> set[tuple[str, str, str, Decimal, Decimal | None]]:
    """What truly rests: symbol, side, kind, trigger, size."""
    return {
        (plan.symbol, plan.position_side.value, plan.kind.value, plan.trigger_price, plan.size) for plan in desk.plans()
    }


def wanted(desk: Desk) -> set[tuple[str, str, str, Decimal, Decimal | None]]:
    """What the policy asks for on what is held: the same whatever was killed."""
    found: set[tuple[str, str, str, Decimal, Decimal | None]] = set()
    for position in desk.server.exchange.query.positions("main"):
        if position.size:
            for kind, ratio in ((PlanKind.STOP_LOSS, -STOP_RATIO), (PlanKind.TAKE_PROFIT, PROFIT_RATIO)):
                found.add((position.symbol, position.side.value, kind.value, _trigger(desk, position, ratio), None))
    return found


def _trigger(desk: Desk, position: PositionView, ratio: Decimal) -> Decimal:
    tick = desk.server.exchange.query.contract(position.symbol).tick
    price = position.entry_price * (1 + ratio * position.side.sign)
    towards_mark = ROUND_CEILING if price < position.entry_price else ROUND_FLOOR  # I18
    return (price / tick).to_integral_value(rounding=towards_mark) * tick


def apart(desk: Desk) -> str:
    missing, extra = wanted(desk) - resting(desk), resting(desk) - wanted(desk)
    return f"missing {sorted(map(str, missing))}, too many {sorted(map(str, extra))}, plans {len(desk.plans())}"


def bare_spans(desk: Desk, *, now_ms: int | None = None) -> Iterator[tuple[str, PositionSide, list[tuple[int, int]]]]:
    """For each leg that was ever held: when it was without a stop."""
    ledger, now_ms = desk.server.exchange.ledger, now_ms or desk.server.now_ms()
    for symbol in sorted({row.symbol for row in ledger.rows(uid="main", kind=RowKind.FILL)}):
        for side in PositionSide:
            yield symbol, side, unprotected_spans(ledger, "main", symbol, side, until_ms=now_ms)


def judged(desk: Desk, starts_ms: list[int], *, now_ms: int | None = None) -> list[str]:
    """Everything that must never be, over the whole ledger of a story."""
    ledger = desk.server.exchange.ledger
    found = [f"I2: exposure raised: {row.as_json()}" for row in exposure_increases(ledger, "main", CLIENT_ID_PREFIX)]
    found += [f"I7: executed twice: {name}" for name in repeated_client_ids(ledger, "main", CLIENT_ID_PREFIX)]
    found += [f"liquidated: {row.as_json()}" for row in ledger.rows(uid="main", kind=RowKind.LIQUIDATED)]
    plans = ledger.rows(uid="main", kind=RowKind.PLAN)
    found += [f"a plan fired: {row.as_json()}" for row in plans if row.details["action"] in ("triggered", "failed")]
    found.extend(_judged_closes(desk))
    for symbol, side, spans in bare_spans(desk, now_ms=now_ms):
        if most_live_stops(ledger, "main", symbol, side, client_id_prefix="") > 2:
            found.append(f"I5: more than two generations of stops rested on {symbol} {side}")
        for begin, end in spans:
            since = max([begin, *(start for start in starts_ms if start <= end)])
            if end - since > PROTECTED_S_MAX * 1000:
                found.append(f"{symbol} {side}: {(end - since) / 1000:.2f} s without a stop under a running guard")
    return found


def _judged_closes(desk: Desk) -> Iterator[str]:
    """Each decision executed once; of each position one trim at most, and what was closed is what the rules name."""
    took = executions(desk)
    meant = {intent.id: intent for intent, _ in intents(desk.home)}
    for client in took:
        if client not in meant:
            yield f"I20: {client} was executed, but the journal doesn't know it"
    steps = Counter(
        (intent.episode, intent.rule, intent.step) for client, intent in meant.items() for _ in range(took[client])
    )
    yield from (f"I7: executed {times} times: {step}" for step, times in steps.items() if times > 1)
    closed: dict[str, list[tuple[str, Decimal]]] = {}
    for row in desk.server.exchange.ledger.rows(uid="main", kind=RowKind.FILL):
        intent = meant.get(row.details["client_id"])  # type: ignore[call-overload]
        if intent is not None:
            fills = closed.setdefault(intent.episode, [])
            size = row.decimal("size") * desk.lot(row.symbol)
            if fills and intent.rule == fills[-1][0] == "last-resort":
                size += fills.pop()[
                    1
                ]  # while a trim's outcome isn't known, a close leaves what that may still take (I1)
            fills.append((intent.rule, size))
    trim, rest, whole = ("trim", Decimal(25)), ("last-resort", Decimal(75)), ("last-resort", Decimal(100))
    ways = ([trim], [trim, rest], [whole])
    yield from (f"I7: closed in episode {name}: {fills}" for name, fills in closed.items() if fills not in ways)


# What the journal says


def intents(home: Path) -> list[tuple[Intent, list[str]]]:
    """Every intent that the journal knows, with the stages that it tells of, oldest first."""
    found: dict[str, Intent] = {}
    stages: dict[str, list[str]] = {}
    with JournalReader.open(home / "data") as journal:
        for record in journal.list(account="main", limit=1_000_000):
            if record.kind is RecordKind.INTENT:
                stages.setdefault(record.subject, []).append(Stage.JOURNALLED)
            elif record.kind is RecordKind.STAGE:
                stages.setdefault(record.subject, []).append(str(record.body["stage"]))
            if record.body.get("intent") is not None:
                found[record.subject] = decoded(Intent, record.body["intent"])
    return [(intent, stages[name]) for name, intent in found.items()]


def unfinished(home: Path) -> list[tuple[Intent, str]]:
    return [(intent, stages[-1]) for intent, stages in intents(home) if stages[-1] not in FINISHED]


def left_behind(desk: Desk) -> list[Left]:
    """What the killed guard had in flight; its journal must be whole."""
    with JournalReader.open(desk.home / "data") as journal:
        for verdict in journal.verify():
            if verdict.problem:
                raise Breach(f"I20: the journal's chain after the kill: {verdict.problem}")
    return [Left(intent=intent, stage=stage, executed=False) for intent, stage in unfinished(desk.home)]
