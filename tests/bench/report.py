"""The report: the goal table, each scenario's own table, and the reactions as a plot, in Markdown and SVG by hand."""

from collections.abc import Iterable, Sequence
from html import escape
from math import log10
from typing import Final

from tests.bench.section import Bar, Goal, Section, told

_LEFT, _RIGHT, _ROW, _TOP = 250, 40, 22, 34
_WIDTH: Final = 860


def markdown(sections: Sequence[Section], *, machine: str, notes: Iterable[str]) -> str:
    lines = [f"Machine: {machine}.", *notes, ""]
    goals = [goal for section in sections for goal in section.goals]
    if goals:
        lines += _table(("figure", "measured", "goal", "stretch", ""), [_goal_row(goal) for goal in goals])
    for section in sections:
        lines += [f"### {section.title}", "", *_table(section.head, section.rows), *section.notes]
        if section.notes:
            lines.append("")
    return "\n".join(lines)


def svg(bars: Sequence[Bar]) -> str:
    """Horizontal bars to the median with a whisker to p99, microseconds on a logarithmic scale."""
    shown = [bar for bar in bars if bar.value == bar.value]
    least = 10 ** int(log10(max(1.0, min((bar.value for bar in shown), default=1.0))))
    most = max((bar.beyond for bar in shown), default=10.0)
    decades = max(1, int(log10(most / least)) + 1)
    height = _TOP + _ROW * len(shown) + 30

    def across(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * log10(max(value, least) / least) / decades

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{_LEFT}" y="16">price frame → order at the exchange: median, whisker to p99</text>',
    ]
    for step in range(decades + 1):
        x, value = across(least * 10**step), least * 10**step
        label = f"{value:,} µs" if value < 1_000 else f"{value // 1_000:,} ms"
        parts.append(f'<line x1="{x:.0f}" y1="{_TOP - 8}" x2="{x:.0f}" y2="{height - 22}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.0f}" y="{height - 8}" text-anchor="middle" fill="#555">{label}</text>')
    for number, bar in enumerate(shown):
        y = _TOP + number * _ROW
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 10}" text-anchor="end">{escape(bar.label)}</text>')
        parts.append(f'<rect x="{_LEFT}" y="{y}" width="{across(bar.value) - _LEFT:.1f}" height="13" fill="#4878a8"/>')
        parts.append(
            f'<line x1="{across(bar.value):.1f}" y1="{y + 6.5}" x2="{across(bar.beyond):.1f}" y2="{y + 6.5}" stroke="#c44"/>'
        )
    return "\n".join((*parts, "</svg>", ""))


def _goal_row(goal: Goal) -> tuple[str, ...]:
    sign = "≥" if goal.at_least else "≤"
    unit = f" {goal.unit}" if goal.unit else ""
    stretch = "" if goal.stretch is None else f"{sign} {goal.stretch:g}{unit}"
    return goal.text, f"{told(goal.value, 2)}{unit}", f"{sign} {goal.limit:g}{unit}", stretch, goal.met


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows), ""]
