"""The operator's overview: who is how near to what, what protects it, and what the guard did about it."""

from typing import Any, Final

from tests.deploy.grafana.panels import BLUE, GREEN, GREY, RED, YELLOW, Column, Kind, Panel, Query, dashboard

UID: Final = "guardd-overview"
TITLE: Final = "guardd / who is how near to what"
INTERNALS: Final = ("guardd-internals", "guardd / internals")
MINE: Final = '{account=~"$account"}'
POSITION: Final = "{{account}} {{symbol}} {{side}}"
NEAR: Final = ((None, RED), (0.01, YELLOW), (0.05, GREEN))
LEFT: Final = ((None, RED), (0.25, YELLOW), (0.5, GREEN))
YES_NO: Final = {"1": ("protected", GREEN), "0": ("no stop", RED)}


def overview() -> dict[str, Any]:
    return dashboard(
        uid=UID,
        title=TITLE,
        description="Every position that guardd guards: how far from liquidation, by what protected, and what was done.",
        other=INTERNALS,
        rows={
            "Now": _now(),
            "How near": _near(),
            "Protection": _protection(),
            "What the guard did": _deeds(),
            "Accounts": _accounts(),
        },
    )


def _position(figure: str) -> Query:
    return Query(expr=f"guardd_position_{figure}{MINE}", legend=POSITION)


def _now() -> list[Panel]:
    return [
        Panel(
            id=1,
            kind=Kind.TABLE,
            title="Positions",
            description="Distance: from mark to liquidation, as a part of the mark. Left: how much of the first distance is left.",
            queries=[
                _position("distance_to_liquidation_ratio"),
                Query(expr=f"position:guardd_buffer_left:ratio{MINE}"),
                _position("mark_price"),
                _position("liquidation_price"),
                _position("entry_price"),
                _position("quantity"),
                _position("notional"),
                _position("unrealized_pnl"),
                _position("protected"),
            ],
            columns=[
                Column(name="account", title="Account"),
                Column(name="venue", title="Venue"),
                Column(name="symbol", title="Symbol"),
                Column(name="side", title="Side"),
                Column(name="Value #A", title="Distance", unit="percentunit", steps=NEAR, decimals=2),
                Column(name="Value #B", title="Left", unit="percentunit", steps=LEFT, decimals=0),
                Column(name="Value #C", title="Mark", unit="none"),
                Column(name="Value #D", title="Liquidation", unit="none"),
                Column(name="Value #E", title="Entry", unit="none"),
                Column(name="Value #F", title="Quantity", unit="none"),
                Column(name="Value #G", title="Notional"),
                Column(name="Value #H", title="Unrealised PnL"),
                Column(name="Value #I", title="Stop", words=YES_NO),
            ],
            width=24,
        ),
        Panel(
            id=15,
            kind=Kind.TABLE,
            title="Alerts that fire",
            description="By Prometheus's rules. Empty is good, as long as GuarddWatchdog arrives where it should.",
            queries=[Query(expr='ALERTS{alertname=~"Guardd.*",alertname!="GuarddWatchdog",alertstate="firing"}')],
            columns=[
                Column(name="severity", title="Severity", words={"critical": ("critical", RED), "warning": ("warning", YELLOW)}),
                Column(name="alertname", title="Alert"),
                Column(name="account", title="Account"),
                Column(name="symbol", title="Symbol"),
                Column(name="side", title="Side"),
                Column(name="instance", title="Instance"),
            ],
            width=24,
            height=6,
        ),
    ]  # fmt: skip


def _near() -> list[Panel]:
    return [
        Panel(
            id=4,
            kind=Kind.TIMESERIES,
            title="Distance to liquidation",
            description="As a part of the mark price, by the nearer of the venue's and our own liquidation price.",
            queries=[_position("distance_to_liquidation_ratio")],
            unit="percentunit",
            steps=NEAR,
            min=0,
        ),
        Panel(
            id=7,
            kind=Kind.BAR_GAUGE,
            title="How much of the first distance is left",
            description="From entry to liquidation; the same measure at every leverage. Below a quarter it alerts.",
            queries=[Query(expr=f"position:guardd_buffer_left:ratio{MINE}", legend=POSITION)],
            unit="percentunit",
            steps=LEFT,
            min=0,
            max=1,
        ),
        Panel(
            id=5,
            kind=Kind.TIMESERIES,
            title="Margin ratio",
            description="Maintenance margin by margin balance of the cross positions; the venue liquidates at 100 %.",
            queries=[Query(expr=f"guardd_account_margin_ratio{MINE}", legend="{{account}}")],
            unit="percentunit",
            steps=((None, GREEN), (0.6, YELLOW), (0.8, RED)),
            min=0,
        ),
        Panel(
            id=10,
            kind=Kind.TIMESERIES,
            title="Liquidation price: ours against the venue's",
            description="Beyond 2 % nothing is closed by our own number.",
            queries=[Query(expr=f"guardd_liquidation_price_drift_ratio{MINE}", legend=POSITION)],
            unit="percentunit",
            steps=((None, GREEN), (0.02, YELLOW)),
        ),
    ]


def _protection() -> list[Panel]:
    return [
        Panel(
            id=6,
            kind=Kind.STATE_TIMELINE,
            title="Verified stop",
            description="Whether a stop that was read back from the venue covers all of the position.",
            queries=[_position("protected")],
            words=YES_NO,
        ),
        Panel(
            id=16,
            kind=Kind.STAT,
            title="Protected part of the notional",
            description="Of each account.",
            queries=[Query(expr=f"guardd_protected_notional_ratio{MINE}", legend="{{account}}")],
            unit="percentunit",
            steps=((None, RED), (1, GREEN)),
            width=6,
        ),
        Panel(
            id=13,
            kind=Kind.STAT,
            title="Seconds without a stop, last hour",
            description="Summed over the positions of each account.",
            queries=[Query(expr=f"account:guardd_unprotected_seconds:increase1h{MINE}", legend="{{account}}")],
            unit="s",
            steps=((None, GREEN), (5, YELLOW), (60, RED)),
            width=6,
        ),
    ]


def _deeds() -> list[Panel]:
    return [
        Panel(
            id=8,
            kind=Kind.TIMESERIES,
            title="Actions and what became of them",
            description="refused: by the policy's limits or an invariant, before anything was sent.",
            queries=[
                Query(
                    expr=f"sum by (account, action, outcome) (increase(guardd_actions_total{MINE}[$__rate_interval])) > 0",
                    legend="{{account}} {{action}} {{outcome}}",
                )
            ],
            bars=True,
        ),
        Panel(
            id=14,
            kind=Kind.TIMESERIES,
            title="Rules that fired",
            description="",
            queries=[
                Query(
                    expr=f"sum by (account, rule) (increase(guardd_rule_fired_total{MINE}[$__rate_interval]))",
                    legend="{{account}} {{rule}}",
                )
            ],
            bars=True,
        ),
        Panel(
            id=9,
            kind=Kind.TIMESERIES,
            title="Exits by others, and work against the guard",
            description="liquidation, adl: by the venue. external: somebody closed it. contested: a stop was cancelled again and "
            "again, or a closed position opened again.",
            queries=[
                Query(
                    expr=f"sum by (account, kind) (increase(guardd_forced_exits_total{MINE}[$__rate_interval]))",
                    legend="{{account}} {{kind}}",
                ),
                Query(
                    expr=f"sum by (account) (increase(guardd_contested_total{MINE}[$__rate_interval]))",
                    legend="{{account}} contested",
                ),
            ],
            bars=True,
            width=24,
            height=6,
        ),
    ]


def _accounts() -> list[Panel]:
    states = {"1": ("", BLUE)}
    return [
        Panel(
            id=2,
            kind=Kind.STATE_TIMELINE,
            title="State",
            description="live: all is read and known. Anything else for long is an alert.",
            queries=[Query(expr=f"guardd_account_state{MINE} == 1", legend="{{account}} {{state}}")],
            words=states,
        ),
        Panel(
            id=3,
            kind=Kind.STATE_TIMELINE,
            title="Mode",
            description="enforce: it acts. observe: it decides and reports.",
            queries=[Query(expr=f"guardd_mode{MINE} == 1", legend="{{account}} {{mode}}")],
            words={"1": ("", GREY)},
        ),
        Panel(
            id=11,
            kind=Kind.TIMESERIES,
            title="Equity",
            description="Of each balance, in its own currency.",
            queries=[Query(expr=f"guardd_account_equity{MINE}", legend="{{account}} {{currency}}")],
        ),
        Panel(
            id=12,
            kind=Kind.TIMESERIES,
            title="Drawdown from the day's high",
            description="Read only where a rule asks for it; money moved in or out apart.",
            queries=[Query(expr=f"guardd_account_drawdown_ratio{MINE}", legend="{{account}} {{currency}}")],
            unit="percentunit",
        ),
    ]
