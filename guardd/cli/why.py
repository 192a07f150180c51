"""One decision as a story: what it was decided on, what was refused beside it, what went out, what came back, what it realised."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final, assert_never, cast

from guardd.cli.show import NOTHING, Json, decimal_of, local_time, print_line, print_table, utc_time
from guardd.journal.entry import Record, RecordKind
from guardd.journal.reading import Story
from guardd.model.instant import NS_PER_MS
from guardd.model.intent import (
    AddMargin,
    CancelOrder,
    CloseAtMarket,
    Intent,
    ModifyProtection,
    PlaceProtection,
    SetLeverage,
    TransferToFutures,
    Write,
)

_AGE: Final = "age_s_"
_MARK, _POSITION, _ACCOUNT = ("mark",), ("mark", "position"), ("mark", "position", "account")
_SOURCES: Final[Mapping[str, Sequence[str]]] = {
    "mark": _MARK,
    **dict.fromkeys(("entry", "quantity", "leverage", "liquidation_venue"), ("position",)),
    **dict.fromkeys(("distance_to_liquidation", "distance_to_liquidation_nearer", "buffer_left"), _POSITION),
    **dict.fromkeys(("profit_from_entry", "unrealized_pnl", "notional", "return_on_margin"), _POSITION),
    **dict.fromkeys(("liquidation_own", "liquidation_closing", "margin_ratio", "margin_ratio_own"), _ACCOUNT),
    **dict.fromkeys(("account_margin_ratio", "effective_leverage", "account_drawdown"), _ACCOUNT),
}
"""What a figure is made of: it is as old as the oldest of these."""
_NOT_DONE: Final = ("refused", "held")
"""How the text of a rule's record begins that led to no order."""


def print_why(story: Story, sentences: Mapping[int, str]) -> None:
    """`sentences` says each record in words, by its id."""
    if story.intent is not None:
        _print_decision(story, story.intent)
        _print_notes("refused or held back before it", alternatives(story), sentences)
        _print_notes("what the rules did before it", fired(story), sentences)
        _print_course(story, story.intent)
    else:
        _print_notes(f"episode {story.subject}", story.records, sentences)
    _print_fills(story)


def why_json(story: Story, record_json: Mapping[int, Json]) -> Json:
    """The document that `guardd/cli/schemas/journal-why.json` describes; `record_json` has each record by its id."""
    intent = story.intent
    total, currency = realised(story)
    return {
        "subject": story.subject,
        "account": intent.account if intent is not None else story.records[0].account,
        "episode": intent.episode if intent is not None else story.subject,
        "position": {"symbol": intent.key.symbol, "side": intent.key.side.value} if intent is not None else None,
        "rule": intent.rule if intent is not None else None,
        "step": intent.step if intent is not None else None,
        "action": intent.action.value if intent is not None else None,
        "reason": intent.reason if intent is not None else None,
        "decided": utc_time(intent.decided.wall_ms) if intent is not None else None,
        "policy": _policy(story),
        "write": write_text(intent.write) if intent is not None else None,
        "inputs": dict(intent.inputs) if intent is not None else {},
        "input_ages_s": dict(ages(intent)) if intent is not None else {},
        "alternatives_refused": [record_json[record.id] for record in alternatives(story)],
        "rules": [record_json[record.id] for record in story.rules],
        "course": [_step_json(story, record) for record in story.records if record.kind is RecordKind.STAGE],
        "outcome": outcome(story),
        "fills": [cast(Json, _fill(record)) for record in story.fills],
        "realized_pnl": decimal_of(total) if total is not None else None,
        "currency": currency,
        "records": [record_json[record.id] for record in story.records],
    }


def alternatives(story: Story) -> list[Record]:
    """What a rule asked for and was not done: refused by a limit or a check, or held."""
    return [record for record in story.rules if str(record.body.get("text")).startswith(_NOT_DONE)]


def fired(story: Story) -> list[Record]:
    return [record for record in story.rules if not str(record.body.get("text")).startswith(_NOT_DONE)]


def ages(intent: Intent) -> Iterator[tuple[str, str]]:
    """The age of each figure in seconds, of the oldest thing it is made of; `never`: that was never read."""
    inputs = dict(intent.inputs)
    for name in inputs:
        told = [inputs[f"{_AGE}{source}"] for source in _SOURCES.get(name, ()) if f"{_AGE}{source}" in inputs]
        if told:
            yield name, "never" if "never" in told else max(told, key=Decimal)


def outcome(story: Story) -> str | None:
    """The last stage that the decision came to."""
    stages = [str(record.body.get("stage")) for record in story.records if record.kind is RecordKind.STAGE]
    return stages[-1] if stages else None


def realised(story: Story) -> tuple[Decimal | None, str | None]:
    """The sum of what is known to have been realised, before fees and funding; None where nothing is known."""
    told = [_fill(record) for record in story.fills]
    known = [Decimal(str(fill["realized_pnl"])) for fill in told if fill.get("realized_pnl") is not None]
    currency = next((str(fill["currency"]) for fill in told if fill.get("currency")), None)
    return (sum(known, Decimal(0)), currency) if known and len(known) == len(told) else (None, currency)


def write_text(write: Write) -> str:
    """The request in words."""
    match write:
        case CloseAtMarket(size=size, limit_price=None):
            return f"close {size} contracts at market, reduce-only"
        case CloseAtMarket(size=size, limit_price=price):
            return f"close {size} contracts at {price} or better, immediate-or-cancel, reduce-only"
        case PlaceProtection():
            part = "the whole position" if write.size is None else f"{write.size} contracts"
            return f"place a {write.kind} for {part}: trigger {write.trigger_price} by {write.price_type}, form {write.form}"
        case ModifyProtection():
            return f"move the {write.kind} {write.order_id} to trigger {write.trigger_price} by {write.price_type}"
        case CancelOrder():
            return f"cancel the {write.kind} order {write.order_id}"
        case SetLeverage():
            return f"set the leverage to {write.leverage} ({write.margin_mode})"
        case AddMargin():
            return f"add {write.amount} {write.currency} of margin"
        case TransferToFutures():
            return f"transfer {write.amount} {write.currency} from spot to futures"
        case _:
            assert_never(write)


def _print_decision(story: Story, intent: Intent) -> None:
    print_line(f"{intent.id}: {intent.action} of {intent.key}", style="bold")
    print_line(f"rule {intent.rule}, step {intent.step} of episode {intent.episode}")
    print_line(f"because {intent.reason}")
    policy = _policy(story)
    armed = f"; armed with policy {policy[:12]}" if policy else ""
    print_line(f"decided {local_time(intent.decided.wall_ms)}; {intent.quantity_before} contracts were held{armed}")
    print_line(f"request: {write_text(intent.write)}")
    old = dict(ages(intent))
    figures = [
        (name, value, f"{old[name]} s" if old.get(name, "never") != "never" else old.get(name, NOTHING))
        for name, value in intent.inputs
        if not name.startswith(_AGE)
    ]
    if figures:
        print_table("figures it was decided on", ("figure", "value", "age"), figures)
    else:
        print_line("its figures stand in its reason; no other was journalled with it")


def _print_notes(title: str, records: Sequence[Record], sentences: Mapping[int, str]) -> None:
    if records:
        rows = [(local_time(record.at_ms), record.kind, sentences[record.id]) for record in records]
        print_table(title, ("time", "kind", "what"), rows)


def _print_course(story: Story, intent: Intent) -> None:
    rows = []
    for record in story.records:
        after = f"{record.at_ms - intent.decided.wall_ms:+d} ms"
        stage = str(record.body.get("stage", "journalled"))
        rows.append((local_time(record.at_ms), after, stage, _answer(record) or NOTHING))
    print_table("what became of it", ("time", "after", "stage", "answer"), rows)
    if (reaction := _reaction_ms(story)) is not None:
        print_line(f"from the price frame to the order's last byte: {reaction} ms")


def _print_fills(story: Story) -> None:
    if not story.fills:
        return
    rows = []
    for record in story.fills:
        fill = _fill(record)
        won = f"{_signed(fill.get('realized_pnl'))} {fill.get('currency') or ''}".rstrip()
        order = str(fill["order_id"]) + (f" (of {fill['plan_order_id']})" if fill.get("plan_order_id") else "")
        size, price = (decimal_of(Decimal(str(fill[name]))) for name in ("size", "price"))
        rows.append((local_time(record.at_ms), order, str(fill["how"]), size, price, won))
    print_table("fills", ("time", "order", "how", "contracts", "price", "realised"), rows)
    total, currency = realised(story)
    told = f"{_signed(total)} {currency}" if total is not None else "not known: an entry price wasn't"
    print_line(f"realised PnL, before fees and funding: {told}")


def _answer(record: Record) -> str:
    """What the venue said, or what reading back showed."""
    body = record.body
    said = cast(Mapping[str, object], body.get("outcome") or {})
    parts = [f"{name} {said[name]}" for name in ("reason", "code", "text", "why", "order_id") if said.get(name)]
    if body.get("filled") is not None:
        parts.append(f"filled {body['filled']}")
    if body.get("detail"):
        parts.append(str(body["detail"]))
    return ", ".join(parts)


def _step_json(story: Story, record: Record) -> Json:
    body = record.body
    since = story.intent.decided.wall_ms if story.intent is not None else record.at_ms
    return {
        "stage": cast(Json, body.get("stage")),
        "at": utc_time(record.at_ms),
        "after_ms": record.at_ms - since,
        "outcome": cast(Json, body.get("outcome")),
        "order_id": cast(Json, body.get("order_id")),
        "filled": cast(Json, body.get("filled")),
        "detail": cast(Json, body.get("detail")),
    }


def _reaction_ms(story: Story) -> str | None:
    """Within one run only: the monotonic clock of another means nothing."""
    frame_ns = story.intent.frame_ns if story.intent is not None else None
    for record in story.records:
        said = record.body.get("outcome")
        sent_ns = said.get("sent_ns") if isinstance(said, Mapping) else None
        if isinstance(sent_ns, int) and frame_ns is not None and sent_ns >= frame_ns:
            return f"{(sent_ns - frame_ns) / NS_PER_MS:.2f}"
    return None


def _policy(story: Story) -> str | None:
    """The digest that the last CONFIRM named."""
    why = str(story.armed_by.body.get("why")) if story.armed_by is not None else ""
    return why.removeprefix("policy ") if why.startswith("policy ") else None


def _fill(record: Record) -> Mapping[str, object]:
    return cast(Mapping[str, object], record.body["fill"])


def _signed(value: object) -> str:
    return f"{Decimal(str(value)):+.2f}" if value is not None else "not known"
