"""What a picture of a policy shows, before anybody draws it: a price axis, how much of the position is left at each mark of a
straight way, and what stands on it. Labels are moved apart, never over each other.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from guardd.cli.explained import Explained, Story, away_text, money_text, price_text, share_left, signed
from guardd.cli.show import decimal_of
from guardd.model.names import Side
from guardd.model.order import PlanOrder, ProtectionKind, RestingOrder
from guardd.model.reading import is_value
from guardd.policy.crossings import Way
from guardd.policy.language import REDUCES, CancelEntering
from guardd.policy.triggers import When
from guardd.policy.walk import Kind, Step, Walk, cut_text

PAD: Final = Decimal("0.04")
"""Of the shown range, above and below what stands on it."""
FARTHEST: Final = Decimal("2.5")
"""What is further from the mark than so many times the liquidation is shown at the edge."""
NARROWEST: Final = Decimal("0.02")
WITHOUT_LIQUIDATION: Final = Decimal("0.2")
AS_GOOD_AS_AT: Final = Decimal("0.0005")
"""An entry that near to the mark is no line of its own."""


class Glyph(StrEnum):
    MARK = "mark"
    ENTRY = "entry"
    LIQUIDATION = "liquidation"
    TELL = "tell"
    REDUCE = "reduce"
    CLOSE = "close"
    STOP = "stop"
    PROFIT = "take-profit"
    ADD = "add"
    CANCEL = "cancel"
    REFUSED = "refused"


class Label(Struct, frozen=True, kw_only=True):
    """One thing on the axis. `share`: how much of the position goes there; `faint`: on the whole way it never gets its turn."""

    price: Decimal
    glyph: Glyph
    title: str
    detail: str
    share: Decimal = Decimal(0)
    faint: bool = False
    beyond: bool = False
    """Further than the axis goes: shown at its edge."""


class Picture(Struct, frozen=True, kw_only=True):
    """One position. `left`: from each price on, the share that is left; each way from the mark. Labels from the top."""

    title: str
    subtitle: str
    low: Decimal
    high: Decimal
    mark: Decimal
    entry: Decimal
    liquidation: Decimal | None
    hurts_below: bool
    labels: tuple[Label, ...]
    left: tuple[tuple[Way, tuple[tuple[Decimal, Decimal], ...]], ...]
    notes: tuple[str, ...]
    tick: Decimal

    def height_of(self, price: Decimal) -> Decimal:
        """Where a price lies between the lowest (0) and the highest (1) shown."""
        return min(max((price - self.low) / (self.high - self.low), Decimal(0)), Decimal(1))

    def text_of(self, price: Decimal) -> str:
        return price_text(price, self.tick)

    def away(self, price: Decimal) -> str:
        return away_text(price, self.mark)


def picture(story: Story) -> Picture:
    """Everything that is drawn of one position."""
    risk, tick = story.view.risk, story.view.instrument.tick
    labels = [*_mark(story), *_liquidation(story), *_happening(story), *_triggers(story), *_resting(story)]
    low, high = _range(story, [label.price for label in labels])
    shown = [replace(label, beyond=not low <= label.price <= high) for label in _merged(labels)]
    equity = f" · equity {money_text(story.equity, story.currency)}" if is_value(story.equity) else ""
    return Picture(
        title=story.title,
        subtitle=f"mark {price_text(risk.mark, tick)} · entry {price_text(risk.entry, tick)}{equity}",
        low=low,
        high=high,
        mark=risk.mark,
        entry=risk.entry,
        liquidation=risk.liquidation if is_value(risk.liquidation) else None,
        hurts_below=risk.exposure is Side.LONG,
        labels=tuple(sorted(shown, key=lambda label: (-label.price, label.glyph))),
        left=tuple((way.way, tuple(share_left(story, way))) for way in story.ways),
        notes=_notes(story),
        tick=tick,
    )


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places at least `gap` apart and near the wanted ones (which rise), between `low` and `high` as far as they fit."""
    placed: list[float] = []
    for place in wanted:
        placed.append(max(place, placed[-1] + gap) if placed else max(place, low))
    over = placed[-1] - high if placed else 0.0
    if over > 0:
        placed[-1] -= over
        for index in range(len(placed) - 2, -1, -1):
            placed[index] = min(placed[index], placed[index + 1] - gap)
    return placed


# What stands on the axis


def _mark(story: Story) -> list[Label]:
    risk = story.view.risk
    detail = f"unrealised {signed(risk.unrealized_pnl, story.currency)}" if is_value(risk.unrealized_pnl) else ""
    now = [f"{each.trigger.rule} now: {each.what}" for each in story.found if each.trigger.when is When.NOW]
    mark = Label(price=risk.mark, glyph=Glyph.MARK, title="mark", detail="; ".join([detail, *now]))
    if abs(risk.mark - risk.entry) <= risk.mark * AS_GOOD_AS_AT:
        entry = price_text(risk.entry, story.view.instrument.tick)
        return [replace(mark, title="mark and entry" if risk.mark == risk.entry else f"mark, entry {entry}")]
    return [mark, Label(price=risk.entry, glyph=Glyph.ENTRY, title="entry", detail="")]


def _liquidation(story: Story) -> list[Label]:
    risk = story.view.risk
    if not is_value(risk.liquidation):
        return []
    whose = "the venue's number" if risk.liquidation == risk.venue_liquidation else "our own number"
    ends = [step for way in story.ways for step in way.steps if step.kind is Kind.END and step.key == story.key]
    detail = f"{whose}; {ends[0].text}" if ends else f"{whose}; not reached"
    return [Label(price=risk.liquidation, glyph=Glyph.LIQUIDATION, title="liquidation", detail=detail)]


def _triggers(story: Story) -> list[Label]:
    """Of each rule its price; pale where on the whole way another acts before it. What does happen on the way is `_happening`."""
    happening = {(step.mark, step.rule) for way in story.ways for step in _steps(story, way)}
    return [
        Label(
            price=each.trigger.at,
            glyph=_glyph(each),
            title=str(each.trigger.rule),
            detail=_detail(each, story),
            share=_share(each.acts, story),
            faint=not each.reached,
        )
        for each in story.found
        if each.trigger.at is not None
        and each.trigger.when is not When.NOW
        and (each.trigger.at, each.trigger.rule) not in happening
    ]


def _happening(story: Story) -> list[Label]:
    """What changes the position on its way down and up, in the order in which it comes."""
    found: list[Label] = []
    for way in story.ways:
        seen: set[str] = set()
        for step in _steps(story, way):
            again = " again" if step.rule in seen else ""
            seen.add(step.rule)
            found.append(
                Label(
                    price=step.mark,
                    glyph=_glyph_of(step),
                    title=f"{step.rule}{again}",
                    detail=_step_text(step, story),
                    share=_share(step, story),
                )
            )
    return found


def _steps(story: Story, way: Walk) -> list[Step]:
    kinds = (Kind.FILL, Kind.CUT, Kind.STRENGTHEN, Kind.REFUSED)
    mark = story.view.risk.mark
    return [step for step in way.steps if step.key == story.key and step.kind in kinds and step.mark != mark]


def _glyph(each: Explained) -> Glyph:
    order, step = each.trigger.order, each.acts
    if order is not None:
        return Glyph.STOP if order.kind is ProtectionKind.STOP_LOSS else Glyph.PROFIT
    if step is not None:
        return _glyph_of(step)
    if any(isinstance(action, REDUCES) for action in each.trigger.actions):
        return Glyph.REDUCE
    return Glyph.CANCEL if any(isinstance(action, CancelEntering) for action in each.trigger.actions) else Glyph.TELL


def _glyph_of(step: Step) -> Glyph:
    match step.kind:
        case Kind.FILL:
            stop = step.order is None or step.order.kind is ProtectionKind.STOP_LOSS
            return Glyph.STOP if stop else Glyph.PROFIT
        case Kind.CUT:
            return Glyph.CLOSE if step.left == 0 else Glyph.REDUCE
        case Kind.STRENGTHEN:
            return Glyph.ADD
        case Kind.CANCEL:
            return Glyph.CANCEL
        case Kind.REFUSED:
            return Glyph.REFUSED
        case Kind.REST:
            return Glyph.STOP
        case Kind.TELL:
            return Glyph.TELL
        case Kind.END:
            return Glyph.LIQUIDATION
        case _:
            assert_never(step.kind)


def _share(step: Step | None, story: Story) -> Decimal:
    quantity = story.view.risk.quantity
    return step.cut.size / quantity if step is not None and step.cut is not None and quantity else Decimal(0)


def _detail(each: Explained, story: Story) -> str:
    held = f" (held: {each.trigger.why})" if each.trigger.when is When.HELD else ""
    step = each.acts
    text = _step_text(step, story) if step is not None and step.cut is not None else each.what
    return f"{'would ' if not each.reached and each.trigger.order is None else ''}{text}{held}"


def _step_text(step: Step, story: Story) -> str:
    """What it does and what that comes to."""
    if step.cut is None:
        return step.text
    what = step.text
    if step.order is not None:
        name = "stop" if step.order.kind is ProtectionKind.STOP_LOSS else "take-profit"
        what = f"{name}: {cut_text(step.cut)}"
    got = step.cut.realised - step.cut.fee
    equity = f" · equity {money_text(step.equity, story.currency)}" if is_value(step.equity) else ""
    return f"{what} · {signed(got, story.currency)}{equity}"


def _resting(story: Story) -> list[Label]:
    """Orders at the venue that aren't where the policy wants them, and those in the book."""
    wanted = {each.trigger.at for each in story.found if each.trigger.order is not None}
    plans = [_plan(plan) for plan in story.resting if plan.trigger_price not in wanted]
    return [*plans, *(_order(order) for order in story.orders)]


def _plan(plan: PlanOrder) -> Label:
    what = plan.protection.value.replace("_", " ") if plan.protection is not None else "order"
    size = "all" if plan.size is None else decimal_of(plan.size)
    glyph = Glyph.PROFIT if plan.protection is ProtectionKind.TAKE_PROFIT else Glyph.STOP
    return Label(price=plan.trigger_price, glyph=glyph, title="rests already", detail=f"{what} of {size}")


def _order(order: RestingOrder) -> Label:
    what = "closes" if order.closes else "opens"
    detail = f"{order.kind} order that {what} {decimal_of(order.size - order.filled)}"
    return Label(price=order.price or Decimal(0), glyph=Glyph.ENTRY, title="rests already", detail=detail)


def _merged(labels: Sequence[Label]) -> list[Label]:
    """One label for what one rule does at one price."""
    found: dict[tuple[Decimal, str], Label] = {}
    order = list(Glyph)
    for label in labels:
        name = (label.price, label.title)
        known = found.get(name)
        if known is None:
            found[name] = label
            continue
        graver = max(known, label, key=lambda each: (each.share, order.index(each.glyph)))
        found[name] = replace(graver, detail="; ".join(dict.fromkeys((known.detail, label.detail))))
    return list(found.values())


def _range(story: Story, prices: Sequence[Decimal]) -> tuple[Decimal, Decimal]:
    risk = story.view.risk
    away = abs(risk.liquidation - risk.mark) if is_value(risk.liquidation) else risk.mark * WITHOUT_LIQUIDATION
    reach = max(away * FARTHEST, risk.mark * NARROWEST)
    near = [price for price in prices if abs(price - risk.mark) <= reach]
    low, high = min(near), max(near)
    pad = max((high - low) * PAD, risk.mark * NARROWEST / 10)
    return max(low - pad, story.view.instrument.tick), high + pad


def _notes(story: Story) -> tuple[str, ...]:
    """What has no place on the axis."""
    kept = (When.NEVER, When.UNKNOWN, When.HELD)
    rest = [each for each in story.found if each.trigger.at is None and each.trigger.when in kept]
    return tuple(f"{each.trigger.rule}: {each.trigger.when}: {each.trigger.why}" for each in rest)
