"""Why, in one sentence with the numbers; and every figure a decision used, with its age."""

from decimal import Context, Decimal
from typing import Final

from guardd.model.reading import Absent, Reading, is_value
from guardd.policy.conditions import Truth, Use, compare, metric_of
from guardd.policy.language import UNIT_OF, Compare, PolicyRule, Unit, compares
from guardd.policy.view import View
from guardd.risk.assess import PositionRisk

_CENT: Final = Decimal("0.01")
_TWELVE_DIGITS: Final = Context(prec=12)
_WIDE: Final = Context(prec=60)
"""Room for any number that a venue may send, to hundredths."""


def condition_text(rule: PolicyRule, risk: PositionRisk, use: Use) -> str:
    """The comparisons that make the rule true, with their figures; all of them where none does alone."""
    if rule.when is None:
        return "always"
    leaves = list(compares(rule.when))
    true = [leaf for leaf in leaves if compare(leaf, risk, use) is Truth.TRUE]
    return ", ".join(dict.fromkeys(leaf_text(leaf, risk, use) for leaf in true or leaves))


def sentence(view: View, rule: PolicyRule, use: Use, what: str) -> str:
    """`what`, to which position, at which mark, by which rule and why."""
    risk = view.risk
    why = condition_text(rule, risk, use)
    return f"{what} {risk.key.symbol} {risk.key.side} at mark {plain(risk.mark)}: rule {rule.name}, {why}"


def inputs_of(view: View) -> tuple[tuple[str, str], ...]:
    """Every figure of a position that a decision may have used, and its age in seconds, sorted by name."""
    risk, ages = view.risk, view.ages
    figures: dict[str, Reading | None] = {
        "mark": risk.mark,
        "entry": risk.entry,
        "quantity": risk.quantity,
        "liquidation_venue": risk.venue_liquidation,
        "liquidation_own": risk.own_liquidation,
        "liquidation_closing": risk.closing_liquidation,
        "distance_to_liquidation": risk.closing_distance_to_liquidation,
        "distance_to_liquidation_nearer": risk.distance_to_liquidation,
        "buffer_left": risk.closing_buffer_left,
        "margin_ratio": risk.closing_margin_ratio,
        "margin_ratio_own": risk.margin_ratio,
        "account_margin_ratio": risk.closing_account_margin_ratio,
        "profit_from_entry": risk.profit_from_entry,
        "unrealized_pnl": risk.unrealized_pnl,
        "notional": risk.notional,
        "return_on_margin": risk.return_on_margin,
        "leverage": risk.leverage,
        "effective_leverage": risk.effective_leverage,
        "account_drawdown": risk.account_drawdown,
    }
    found = {name: exact(reading) for name, reading in figures.items() if reading is not None}
    found["position_age_s"] = f"{risk.position_age_s:.3f}"
    for name, age_s in (("mark", ages.mark_s), ("position", ages.position_s), ("account", ages.account_s)):
        found[f"age_s_{name}"] = "never" if age_s is None else f"{age_s:.3f}"
    return tuple(sorted(found.items()))


def plain(reading: Reading) -> str:
    """A number for people: 12 digits at most, without exponent or trailing zeros; the word where there is none."""
    return exact(_TWELVE_DIGITS.plus(reading)) if is_value(reading) else str(reading)


def exact(reading: Reading) -> str:
    """A number with all its digits, so that a decision can be reproduced from its inputs (I20)."""
    return format((reading + 0).normalize(), "f") if is_value(reading) else str(reading)


def in_unit(reading: Reading | None, unit: Unit, coin: str = "USDT") -> str:
    """As people read it: `7.94 %`, `-120.5 USDT`, `12 s`."""
    if reading is None or isinstance(reading, Absent):
        return "none" if reading is None else str(reading)
    match unit:
        case Unit.RATIO:
            return f"{plain((reading * 100).quantize(_CENT, context=_WIDE))} %"
        case Unit.MONEY:
            return f"{plain(reading.quantize(_CENT, context=_WIDE))} {coin}"
        case Unit.DURATION:
            return f"{plain(reading.quantize(_CENT, context=_WIDE))} s"
        case _:
            return plain(reading)


def threshold_text(leaf: Compare) -> str:
    """What a comparison holds its metric against."""
    return in_unit(leaf.threshold, UNIT_OF[leaf.metric], leaf.coin)


def leaf_text(leaf: Compare, risk: PositionRisk, use: Use) -> str:
    unit = UNIT_OF[leaf.metric]
    found = in_unit(metric_of(risk, leaf.metric, use), unit, risk.settle)
    holds = compare(leaf, risk, use) is Truth.TRUE
    return f"{leaf.metric} {found} is {'' if holds else 'not '}{leaf.sense} {threshold_text(leaf)}"
