"""The metrics of positions and accounts, made from the latest views when somebody asks.

So no number is turned into a float before the scrape, and a position that is gone leaves no series behind.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from guardd.model.account import AccountCondition
from guardd.model.facts import AccountView, PositionView
from guardd.model.names import AccountName, VenueName
from guardd.model.reading import Reading, is_value
from guardd.telemetry.exposition import Row, Table

ACCOUNT_LABELS: Final = ("account", "venue")
POSITION_LABELS: Final = (*ACCOUNT_LABELS, "symbol", "side")
MODES: Final = ("observe", "enforce")

_PositionFigure: TypeAlias = tuple[str, str, Callable[[PositionView], Reading]]
_POSITION_FIGURES: Final[Sequence[_PositionFigure]] = (
    (
        "guardd_position_quantity",
        "Size of the position in contracts, above zero for both sides.",
        lambda seen: seen.quantity,
    ),
    ("guardd_position_mark_price", "Mark price that the position was last judged by.", lambda seen: seen.mark_price),
    ("guardd_position_entry_price", "Average entry price.", lambda seen: seen.entry_price),
    (
        "guardd_position_liquidation_price",
        "Liquidation price, the nearer to the mark of the venue's and our own.",
        lambda seen: seen.liquidation_price,
    ),
    ("guardd_position_notional", "Value at the mark price, in the settlement coin.", lambda seen: seen.notional),
    (
        "guardd_position_unrealized_pnl",
        "Unrealised profit and loss, in the settlement coin.",
        lambda seen: seen.unrealized_pnl,
    ),
    (
        "guardd_position_distance_to_liquidation_ratio",
        "Distance from the mark to the liquidation price, as a part of the mark.",
        lambda seen: seen.distance_to_liquidation,
    ),
    (
        "guardd_liquidation_price_drift_ratio",
        "Our own liquidation price against the venue's.",
        lambda seen: seen.liquidation_drift,
    ),
)
_POSITION_FAMILIES: Final = (
    *(GaugeMetricFamily(name, text) for name, text, _ in _POSITION_FIGURES),
    GaugeMetricFamily("guardd_position_protected", "1 when a verified stop covers all of the position."),
    CounterMetricFamily("guardd_position_unprotected_seconds", "Seconds in which no verified stop covered all of it."),
)
_AccountFigure: TypeAlias = tuple[str, str, Callable[[AccountView], Reading]]
_ACCOUNT_FIGURES: Final[Sequence[_AccountFigure]] = (
    (
        "guardd_account_margin_ratio",
        "Maintenance margin by margin balance, of the balance that stands worst; 1 is liquidation.",
        lambda view: view.margin_ratio,
    ),
    (
        "guardd_protected_notional_ratio",
        "Part of the notional that a verified stop covers.",
        lambda view: view.protected_notional_ratio,
    ),
)


class ViewCollector:
    """Renders the latest view of each account; give it views by calling it. `accounts`: all that are to be guarded; one that
    was never seen, because its venue turns it away at the start, is `starting` and not silent."""

    def __init__(self, accounts: Callable[[], Iterable[tuple[AccountName, VenueName]]] = lambda: ()) -> None:
        self._accounts = accounts
        self._views: dict[AccountName, AccountView] = {}

    def __call__(self, view: AccountView, /) -> None:
        self._views[view.account] = view

    @property
    def views(self) -> Mapping[AccountName, AccountView]:
        return self._views

    def collect(self) -> Iterator[Metric]:
        """One family after another, so that a renderer may rest between them; all from the same views."""
        views = [view for _, view in sorted(self._views.items())]
        unseen = [each for each in sorted(self._accounts()) if each[0] not in self._views]
        yield _states(
            [
                *((view.account, view.venue, view.condition) for view in views),
                *((*each, AccountCondition.STARTING) for each in unseen),
            ]
        )
        yield from _account_families(views)

    def positions(self) -> Table:
        """Of the views as they are now, whatever comes while it is being rendered."""
        views = [view for _, view in sorted(self._views.items())]
        rows = (_position_row(view, seen) for view in views for seen in view.positions)
        return Table(families=_POSITION_FAMILIES, labels=POSITION_LABELS, rows=rows)

    def describe(self) -> Iterator[Metric]:
        """The names alone: registering asks for them, and there are no views yet."""
        yield from self.collect()


def _states(found: Iterable[tuple[AccountName, VenueName, AccountCondition]]) -> Metric:
    family = GaugeMetricFamily(
        "guardd_account_state", "1 for the state the account is in.", labels=(*ACCOUNT_LABELS, "state")
    )
    for account, venue, current in found:
        for condition in AccountCondition:
            family.add_metric((account, venue, condition), int(current is condition))
    return family


def _account_families(views: Sequence[AccountView]) -> Iterator[Metric]:
    mode = GaugeMetricFamily("guardd_mode", "1 for the mode the account is in.", labels=(*ACCOUNT_LABELS, "mode"))
    equity = GaugeMetricFamily("guardd_account_equity", "Equity of the account.", labels=(*ACCOUNT_LABELS, "currency"))
    drawdown = GaugeMetricFamily(
        "guardd_account_drawdown_ratio",
        "Part of the day's high that the equity has fallen by, money moved in or out apart.",
        labels=(*ACCOUNT_LABELS, "currency"),
    )
    closing = GaugeMetricFamily(
        "guardd_venue_closing", "1 when the venue refuses new risk or announced its end.", labels=ACCOUNT_LABELS
    )
    for view in views:
        labels = (view.account, view.venue)
        for name in MODES:
            mode.add_metric((*labels, name), int(view.mode == name))
        for currency, amount in _equities(view):
            if is_value(amount):
                equity.add_metric((*labels, currency), _number(amount))
        for balance in view.balances:
            if is_value(balance.drawdown):
                drawdown.add_metric((*labels, balance.currency), _number(balance.drawdown))
        closing.add_metric(labels, int(view.venue_closing))
    yield from (mode, equity, drawdown, closing)
    for name, text, figure in _ACCOUNT_FIGURES:
        family = GaugeMetricFamily(name, text, labels=ACCOUNT_LABELS)
        for view in views:
            if is_value(number := figure(view)):
                family.add_metric((view.account, view.venue), _number(number))
        yield family


def _equities(view: AccountView) -> Sequence[tuple[str, Reading]]:
    """One for each settlement coin, or the pool's."""
    return [(each.currency, each.equity) for each in view.balances] or [(view.currency, view.equity)]


def _position_row(view: AccountView, seen: PositionView) -> Row:
    figures = [_number(number) if is_value(number := figure(seen)) else None for _, _, figure in _POSITION_FIGURES]
    return (
        (view.account, view.venue, seen.key.symbol, seen.key.side),
        (*figures, float(seen.protected), seen.unprotected_s),
    )


def _number(value: Decimal) -> float:
    """The edge: behind it are floats (I19)."""
    return float(value)
