"""interfaces.md 2.2, row by row: each metric by numbers that can be checked by hand, and whose number counts for what."""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from guardd.daemon.lookout import Lookout
from guardd.errors import ConfigurationError
from guardd.model.decision import Close
from guardd.model.event import BalancePushed, BalanceRead, LedgerRead, MarkSeen, PositionsRead
from guardd.model.flow import Flow, FlowKind
from guardd.model.fold import fold
from guardd.model.highwater import DAY_MS
from guardd.model.names import MarginMode, PositionKey, Severity, Side
from guardd.model.position import Position
from guardd.model.reading import Absent, Reading
from guardd.model.state import AccountState
from guardd.policy.conditions import Truth, Use, metric_of
from guardd.policy.explain import describe
from guardd.policy.language import Metric
from guardd.policy.reasons import plain
from guardd.policy.view import views
from guardd.risk.assess import PositionRisk, assess_position
from tests.changed import replace
from tests.model.accounts import ETH, START, D, account, balance, key, later, row
from tests.policy.guarded import acts, cross, every, guarded, only, policy_of, protect, rule

LONG, SHORT, CROSS = Side.LONG, Side.SHORT, MarginMode.CROSS
NO_RULES = policy_of("name: w\nwhen: {leverage: {above: 500}}\nthen: [notify: {}]")


def risk_of(*rows: Position, mark: str, side: Side = LONG, wallet: str = "2000") -> PositionRisk:
    state = account(*rows, wallet=wallet)
    return assess_position(state, state.held[key(side)], mark=D(mark), now=START)


def reading(metric: Metric, risk: PositionRisk, use: Use = Use.CLOSE) -> Decimal:
    found = metric_of(risk, metric, use)
    assert isinstance(found, Decimal), found
    return found


# The rows. 0.1 BTC, entry 90 000, 10x: margin 900; maintenance 0.5 %, fee 0.06 %.


@pytest.mark.parametrize(
    ("metric", "position", "mark", "expected"),
    [
        (Metric.DISTANCE_TO_LIQUIDATION, row(venue_liquidation=D(80000)), "100000", "0.2"),
        (Metric.DISTANCE_TO_LIQUIDATION, row(SHORT, venue_liquidation=D(100000)), "80000", "0.25"),
        (Metric.BUFFER_LEFT, row(venue_liquidation=D(80000)), "84000", "0.4"),
        (Metric.BUFFER_LEFT, row(SHORT, venue_liquidation=D(100000)), "92000", "0.8"),
        (Metric.BUFFER_LEFT, row(venue_liquidation=D(80000)), "95000", "1.5"),
        (Metric.MARGIN_RATIO, row(), "88000", D("49.28") / 700),  # 44 + 5.28 of 900 − 200
        (Metric.MARGIN_RATIO, row(SHORT), "88000", D("49.28") / 1100),
        (Metric.MARGIN_RATIO, row(mode=CROSS), "88000", D("49.28") / 1800),  # of the account: 2 000 − 200
        (Metric.ACCOUNT_MARGIN_RATIO, row(mode=CROSS), "88000", D("49.28") / 1800),
        (Metric.PROFIT_FROM_ENTRY, row(), "99000", "0.1"),
        (Metric.PROFIT_FROM_ENTRY, row(SHORT), "99000", "-0.1"),
        (Metric.RETURN_ON_MARGIN, row(), "99000", "1"),  # 900 of 900
        (Metric.RETURN_ON_MARGIN, row(SHORT), "99000", "-1"),
        (Metric.RETURN_ON_MARGIN, row(leverage="20", margin=D(900)), "99000", "2"),
        (Metric.UNREALIZED_PNL, row(), "89000", "-100"),
        (Metric.UNREALIZED_PNL, row(SHORT), "89000", "100"),
        (Metric.NOTIONAL, row(), "89000", "8900"),
        (Metric.NOTIONAL, row(SHORT), "89000", "8900"),
        (Metric.LEVERAGE, row(leverage="10"), "80000", "10"),
        (Metric.EFFECTIVE_LEVERAGE, row(), "89000", D(8900) / 800),
        (Metric.EFFECTIVE_LEVERAGE, row(mode=CROSS), "89000", D(8900) / 1900),
    ],
)
def test_each_metric_is_what_its_row_says(metric: Metric, position: Position, mark: str, expected: str) -> None:
    risk = risk_of(position, mark=mark, side=position.key.side)
    assert reading(metric, risk) == pytest.approx(D(expected), abs=D("1e-20"))


@pytest.mark.parametrize("metric", [Metric.MARGIN_RATIO, Metric.ACCOUNT_MARGIN_RATIO])
def test_the_accounts_ratio_counts_every_cross_position_and_no_isolated_one(metric: Metric) -> None:
    """44.5 + 5.34 of BTC and as much of ETH at 89 000; the isolated short is no part of it, its margin of 900 neither."""
    both = (row(mode=CROSS), row(symbol=ETH, mode=CROSS))
    assert reading(metric, risk_of(*both, mark="89000")) == D("99.68") / 1800
    apart = replace(row(SHORT), margin=D(900))
    with_isolated = risk_of(row(mode=CROSS), apart, mark="89000", wallet="2900")
    assert reading(metric, with_isolated) == D("49.84") / 1900


@pytest.mark.parametrize("leverage", ["5", "20", "50"])
@pytest.mark.parametrize("side", list(Side))
def test_buffer_left_is_the_same_at_every_leverage(leverage: str, side: Side) -> None:
    """Halfway from entry to liquidation half of it is left, wherever liquidation is."""
    liquidation = D(90000) - side.sign * D(90000) / D(leverage)
    halfway = (D(90000) + liquidation) / 2
    position = row(side, leverage=leverage, venue_liquidation=liquidation)
    assert reading(Metric.BUFFER_LEFT, risk_of(position, mark=str(halfway), side=side)) == D("0.5")


def test_data_age_is_that_of_the_oldest_source() -> None:
    state = account(row(mode=CROSS))
    fold(state, MarkSeen(key().symbol, D(89000), later(8)))
    risk = assess_position(state, state.held[key()], mark=D(89000), now=later(10))
    assert reading(Metric.DATA_AGE, risk) == 10


WRITTEN = {"ratio": "8%", "money": "100 USDT", "number": "3", "duration": "20s"}
UNITS = {
    "ratio": (
        "distance_to_liquidation",
        "buffer_left",
        "margin_ratio",
        "account_margin_ratio",
        "profit_from_entry",
        "return_on_margin",
        "account_drawdown",
    ),
    "money": ("unrealized_pnl", "notional"),
    "number": ("leverage", "effective_leverage"),
    "duration": ("position_age", "data_age"),
}
"""The column of the table in interfaces.md, turned round."""


@pytest.mark.parametrize("unit", WRITTEN)
@pytest.mark.parametrize("metric", list(Metric))
def test_each_metric_takes_its_own_unit_and_no_other(metric: Metric, unit: str) -> None:
    asked = rule(f"{{{metric}: {{above: {WRITTEN[unit]}}}}}", "notify: {}")
    if metric in UNITS[unit]:
        assert policy_of(asked).rules
        return
    with pytest.raises(ConfigurationError, match=r"policy\.yaml:\d+:\d+: found .* expected"):
        policy_of(asked)


# account_drawdown: equity is the wallet less 100 of loss


@dataclass
class Banked:
    """A cross position whose account and ledger are read; a flow is in both."""

    state: AccountState = field(default_factory=lambda: account(row(mode=CROSS)))
    wallet: Decimal = Decimal(2000)
    at_s: float = 0.0
    flows: tuple[Flow, ...] = ()

    def read(self, *, told: bool = True) -> Reading | None:
        """Read twice, two seconds apart, and the ledger where it is `told`; then the metric."""
        for _ in range(2):
            self.at_s += 2
            now = later(self.at_s)
            read = replace(row(mode=CROSS), venue_ms=now.wall_ms)
            fold(self.state, MarkSeen(key().symbol, D(89000), now))
            fold(self.state, PositionsRead(started=now, at=now, positions=(read,)))
            balances = (balance(read, wallet=str(self.wallet)),)
            if told:
                fold(self.state, LedgerRead(started=now, at=now, since_ms=0, flows=self.flows))
            fold(self.state, BalanceRead(started=now, at=now, balances=balances))
        return self.metric()

    def metric(self) -> Reading | None:
        risk = assess_position(self.state, self.state.held[key()], mark=D(89000), now=later(self.at_s))
        return metric_of(risk, Metric.ACCOUNT_DRAWDOWN, Use.CLOSE)

    def moved(self, amount: str, kind: FlowKind) -> None:
        self.at_s += 1
        self.wallet += D(amount)
        flow = Flow(
            id=f"{len(self.flows)}", at_ms=later(self.at_s).wall_ms, currency="USDT", amount=D(amount), kind=kind
        )
        self.flows = (*self.flows, flow)


def test_the_drawdown_is_the_fall_of_equity_from_its_high_since_first_sight() -> None:
    here = Banked()
    assert here.metric() is Absent.UNKNOWN
    assert here.read() == 0
    here.moved("-380", FlowKind.PNL)
    assert here.read() == pytest.approx(D("0.2"))
    here.moved("480", FlowKind.PNL)
    assert here.read() == 0
    here.moved("-500", FlowKind.PNL)
    assert here.read() == pytest.approx(D("0.25")), "from the new high of 2000"


@pytest.mark.parametrize("kind", [FlowKind.DEPOSIT, FlowKind.WITHDRAWAL, FlowKind.TRANSFER, FlowKind.VOUCHER])
@pytest.mark.parametrize("amount", ["1000", "-700"])
def test_the_drawdown_is_not_changed_by_money_from_outside(kind: FlowKind, amount: str) -> None:
    here = Banked()
    here.read()
    here.moved("-380", FlowKind.PNL)
    here.read()
    here.moved(amount, kind)
    assert here.read() == pytest.approx(D("0.2"))


def test_a_step_of_equity_that_no_flow_explains_leaves_the_drawdown_unknown() -> None:
    here = Banked()
    here.read()
    here.wallet -= 500
    assert here.read() is Absent.UNKNOWN


def test_a_pushed_equity_is_no_account_read() -> None:
    here = Banked()
    here.read()
    (known,) = here.state.balances.values()
    assert isinstance(known.equity, Decimal)
    fold(here.state, BalancePushed(at=later(here.at_s), balance=replace(known, equity=known.equity / 2)))
    assert here.metric() == 0


def test_the_drawdown_begins_anew_at_midnight_utc() -> None:
    here = Banked()
    here.read()
    here.moved("-380", FlowKind.PNL)
    assert here.read() == pytest.approx(D("0.2"))
    midnight = (later(here.at_s).wall_ms // DAY_MS + 1) * DAY_MS
    here.at_s += (midnight - later(here.at_s).wall_ms) / 1000 + 1
    assert here.read() == 0


def test_position_age_counts_from_the_venues_open_time() -> None:
    risk = risk_of(row(opened_ms=START.wall_ms - 90_000), mark="89000")
    assert reading(Metric.POSITION_AGE, risk) == 90


# Values, none and unknown


def test_a_rule_that_is_unknown_does_not_fire_and_one_that_is_none_fires_above() -> None:
    """Without a liquidation price there is no distance: never below, always above."""
    far = rule("{distance_to_liquidation: {above: 50%}}", "notify: {}", name="far")
    near = rule("{distance_to_liquidation: {below: 50%}}", "notify: {}", name="near")
    none = row(venue_liquidation=Absent.NONE, margin=Absent.UNKNOWN)
    unknown = replace(none, liquidation_price=Absent.UNKNOWN)
    assert [tell.rule for tell in guarded(policy_of(far, near), none).mark("89000").told] == ["far"]
    assert guarded(policy_of(far, near), unknown).mark("89000").told == ()


@pytest.mark.parametrize(("action", "severity"), [("close: {}", Severity.CRITICAL), ("notify: {}", Severity.WARNING)])
@pytest.mark.parametrize(("waited", "told"), [(4.9, False), (5.0, True)])
def test_unknown_for_longer_than_stale_after_is_blindness(
    action: str, severity: Severity, waited: float, told: bool
) -> None:
    asked = rule("{distance_to_liquidation: {below: 5%}}", action)
    unknown = row(venue_liquidation=Absent.UNKNOWN, margin=Absent.UNKNOWN)
    here = guarded(policy_of(asked, stale_after="5s"), unknown)
    assert not any("can't be judged" in tell.text for tell in here.look().told)
    here.wait(waited)
    judged = [tell.severity for tell in here.look().told if "can't be judged" in tell.text]
    assert judged == ([severity] if told else [])
    assert here.look().told == ()


def test_a_liquidation_price_on_the_wrong_side_reads_again_is_told_and_is_no_distance_of_zero() -> None:
    close = rule("{distance_to_liquidation: {below: 5%}}", "close: {}")
    warn = rule("{distance_to_liquidation: {below: 5%}}", "notify: {}", name="warn")
    here = guarded(policy_of(close, warn), row(venue_liquidation=D(91000)))
    decided = here.mark("89000")
    assert decided.read_first == {key()}
    assert [tell.rule for tell in decided.told] == ["guardd"]
    assert acts(decided) == []
    assert decided.risks[0].venue_liquidation is Absent.UNKNOWN


# Which L: ours lies at 81 455.2 here


OURS_NEARER = row(venue_liquidation=D(80000))


def test_stops_warnings_and_pictures_use_the_nearer_number_and_a_close_the_venues() -> None:
    stop = "name: s\nthen: [stop_loss: {trigger: {liquidation_buffer: 50%}}]"
    warn = rule("{distance_to_liquidation: {below: 2%}}", "notify: {}", name="warn")
    close = rule("{distance_to_liquidation: {below: 2%}}", "close: {}", name="c")
    here = guarded(policy_of(stop, warn, close), OURS_NEARER)
    own = here.mark("82500").risks[0].own_liquidation
    assert isinstance(own, Decimal)
    assert own > 81000
    halfway = (own + 90000) / 2
    [order] = protect(guarded(policy_of(stop), OURS_NEARER).mark("89000")).wanted
    assert 0 <= order.trigger_price - halfway < D("0.1")
    again = guarded(policy_of(stop, warn, close), OURS_NEARER)
    decided = again.mark("82500")
    assert "warn" in {tell.rule for tell in decided.told}
    assert acts(decided) == []
    assert f"liquidation at {plain(own)}" in describe(again.policy, again.state, again.now)[0]
    assert len(every(again.mark("81600"), Close)) == 1


def test_a_warning_uses_the_venues_number_where_that_is_the_nearer() -> None:
    warn = rule("{distance_to_liquidation: {below: 2%}}", "notify: {}", name="warn")
    here = guarded(policy_of(warn), row(venue_liquidation=D(84000)))
    assert [tell.rule for tell in here.mark("85000").told] == ["warn"]


@pytest.mark.parametrize(("off", "may_close"), [("0.991", True), ("1.009", True), ("0.989", False), ("1.012", False)])
@pytest.mark.parametrize("figure", ["notional", "maintenance_margin"])
def test_ours_may_close_only_where_it_reproduces_a_figure_within_one_percent(
    figure: str, off: str, may_close: bool
) -> None:
    told = row(mark="82000")
    figures: dict[str, Reading] = {figure: getattr(told, figure) * D(off)}
    here = guarded(policy_of(rule("{distance_to_liquidation: {below: 2%}}", "close: {}")), replace(told, **figures))
    assert bool(acts(here.mark("82000"))) is may_close


@pytest.mark.parametrize(("off", "may_close"), [("0.9", True), ("-0.9", True), ("1.1", False), ("-1.1", False)])
def test_ours_may_close_only_where_it_reproduces_the_equity_within_one_percent(off: str, may_close: bool) -> None:
    """Equity is 100 here: 900 of margin, 800 lost."""
    told = row(mark="82000")
    assert isinstance(told.unrealized_pnl, Decimal)
    moved = replace(told, unrealized_pnl=told.unrealized_pnl + D(off))
    here = guarded(policy_of(rule("{distance_to_liquidation: {below: 2%}}", "close: {}")), moved)
    assert bool(acts(here.mark("82000"))) is may_close


def test_ours_closes_nothing_where_the_venue_gives_a_number() -> None:
    here = guarded(
        policy_of(rule("{distance_to_liquidation: {below: 2%}}", "close: {}")), row(venue_liquidation=D(79000))
    )
    assert acts(here.mark("82000")) == []


def test_the_venues_margin_ratio_justifies_a_close_of_cross_positions_without_a_liquidation_price() -> None:
    danger = rule("{margin_ratio: {above: 60%}}", "close: {}")
    here = guarded(policy_of(danger), cross(), wallet="1000")
    assert acts(here.mark("89000")) == []
    assert only(here.mark("80500"), Close).key == key()


class _Quiet:
    """Hands that have nothing to say."""

    def unprotected(self, asked: PositionKey) -> str:
        return ""


@dataclass
class _Alarms:
    texts: list[str]
    severities: set[Severity]


def drift_alarms(venue: Decimal) -> _Alarms:
    state = account(row(venue_liquidation=venue))
    lookout = Lookout(state)
    lookout.assessed([view.risk for view in views(NO_RULES, state, START)])
    alarms = [each for each in lookout.look(NO_RULES, _Quiet(), START).alarms if each[1].startswith("drift/")]  # type: ignore[arg-type]
    return _Alarms([text for _, _, text in alarms], {severity for severity, _, _ in alarms})


def test_a_drift_over_two_percent_is_told_and_never_closes_by_our_number() -> None:
    own = risk_of(row(), mark="89000").own_liquidation
    assert isinstance(own, Decimal)
    assert drift_alarms(own / D("1.019")).texts == []
    told = drift_alarms(own / D("1.021"))
    assert (len(told.texts), told.severities) == (1, {Severity.WARNING})
    here = guarded(
        policy_of(rule("{distance_to_liquidation: {below: 1%}}", "close: {}")), row(venue_liquidation=own / D("1.021"))
    )
    assert acts(here.mark(str((own * D("1.001")).quantize(D("0.1"))))) == []


def test_a_comparison_is_unknown_as_long_as_its_metric_is() -> None:
    view = views(policy_of(rule("{margin_ratio: {above: 1%}}", "notify: {}")), account(row()), START)[0]
    unknown = replace(view, risk=replace(view.risk, margin_ratio=Absent.UNKNOWN))
    assert unknown.truth(unknown.rules[0], Use.WARN) is Truth.UNKNOWN
