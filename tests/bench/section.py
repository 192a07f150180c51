"""What a scenario has to say: a table, the goals it speaks to, and what a plot needs."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One row of the goal table, all figures in one unit. `at_least`: the value shall be no smaller, else no larger."""

    text: str
    value: float
    limit: float
    stretch: float | None = None
    at_least: bool = False
    unit: str = ""

    @property
    def met(self) -> str:
        """Stretch, goal, or missed; a value that is no number is missed."""
        if self._within(self.stretch):
            return "stretch"
        return "goal" if self._within(self.limit) else "missed"

    def _within(self, limit: float | None) -> bool:
        if limit is None or self.value != self.value:
            return False
        return self.value >= limit if self.at_least else self.value <= limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One horizontal bar of a plot on a logarithmic scale, with a mark further out."""

    label: str
    value: float
    beyond: float


@dataclass(slots=True, kw_only=True)
class Section:
    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def told(value: float, digits: int = 1) -> str:
    return "–" if value != value else f"{value:,.{digits}f}"
