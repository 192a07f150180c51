"""The machine: reaction, requests and budgets, streams, journal, process."""

from typing import Any, Final

from tests.deploy.grafana.overview import INTERNALS, MINE
from tests.deploy.grafana.overview import TITLE as OTHER
from tests.deploy.grafana.overview import UID as OTHER_UID
from tests.deploy.grafana.panels import GREEN, RED, YELLOW, Kind, Panel, Query, dashboard

JOB: Final = '{job="guardd"}'
RATE: Final = "[$__rate_interval]"


def internals() -> dict[str, Any]:
    return dashboard(
        uid=INTERNALS[0],
        title=INTERNALS[1],
        description="How fast guardd reacts, what it asks of the venue, and how well it remembers.",
        other=(OTHER_UID, OTHER),
        rows={
            "Process": _process(),
            "Reaction": _reaction(),
            "Requests and budgets": _requests(),
            "Streams and reads": _streams(),
            "Journal, policy, messages": _journal(),
        },
    )


def _quantiles(metric: str, selector: str, legend: str, by: str = "") -> list[Query]:
    """Median and 99th percentile."""
    return [
        Query(
            expr=f"histogram_quantile({quantile}, sum by (le{by}) (rate({metric}_bucket{selector}{RATE})))",
            legend=f"{legend}{name}",
        )
        for quantile, name in ((0.5, "median"), (0.99, "p99"))
    ]


def _process() -> list[Panel]:
    return [
        Panel(
            id=1,
            kind=Kind.STATE_TIMELINE,
            title="Up",
            description="Whether Prometheus reaches it.",
            queries=[Query(expr=f"up{JOB}", legend="{{instance}}")],
            words={"1": ("up", GREEN), "0": ("down", RED)},
            width=8,
        ),
        Panel(
            id=20,
            kind=Kind.STAT,
            title="Version",
            description="",
            queries=[Query(expr=f"guardd_build_info{JOB}", legend="{{version}}")],
            width=4,
        ),
        Panel(
            id=18,
            kind=Kind.TIMESERIES,
            title="CPU",
            description="One core is 100 %.",
            queries=[Query(expr=f"rate(process_cpu_seconds_total{JOB}{RATE})", legend="{{instance}}")],
            unit="percentunit",
            width=6,
        ),
        Panel(
            id=17,
            kind=Kind.TIMESERIES,
            title="Memory",
            description="Resident.",
            queries=[Query(expr=f"process_resident_memory_bytes{JOB}", legend="{{instance}}")],
            unit="bytes",
            width=6,
        ),
    ]


def _reaction() -> list[Panel]:
    return [
        Panel(
            id=2,
            kind=Kind.TIMESERIES,
            title="Reaction",
            description="From a price frame to the last byte of the order it caused; empty while the guard has nothing to do.",
            queries=[
                *_quantiles("guardd_reaction_seconds", MINE, "{{account}} ", ", account"),
                Query(expr=f"account:guardd_reaction_seconds:p99_1h{MINE}", legend="{{account}} p99 of the hour"),
            ],
            unit="s",
        ),
        Panel(
            id=12,
            kind=Kind.TIMESERIES,
            title="Lag of the loop",
            description="How late the loop turned; so much is added to each reaction.",
            queries=_quantiles("guardd_event_loop_lag_seconds", JOB, "{{instance}} ", ", instance"),
            unit="s",
            steps=((None, GREEN), (0.1, YELLOW)),
        ),
        Panel(
            id=3,
            kind=Kind.TIMESERIES,
            title="Reactions",
            description="Orders that a price frame caused.",
            queries=[
                Query(expr=f"sum by (account) (increase(guardd_reaction_seconds_count{MINE}{RATE}))", legend="{{account}}")
            ],
            bars=True,
        ),
        Panel(
            id=5,
            kind=Kind.TIMESERIES,
            title="Oldest write of unknown outcome",
            description="0: none. No second request goes out for the same purpose meanwhile.",
            queries=[
                Query(
                    expr=f"(time() - guardd_unknown_outcome_since_timestamp_seconds{MINE})"
                    f" * (guardd_unknown_outcome_since_timestamp_seconds{MINE} > bool 0)",
                    legend="{{account}}",
                )
            ],
            unit="s",
            steps=((None, GREEN), (30, RED)),
            min=0,
        ),
    ]  # fmt: skip


def _requests() -> list[Panel]:
    return [
        Panel(
            id=6,
            kind=Kind.TIMESERIES,
            title="Requests by what came of them",
            description="",
            queries=[Query(expr=f"account:guardd_venue_requests:rate1m{MINE}", legend="{{account}} {{result}}")],
            unit="reqps",
        ),
        Panel(
            id=7,
            kind=Kind.TIMESERIES,
            title="What the budgets would let through now",
            description="Calls in each bucket. At 0 ordinary traffic waits; protective closes have a lane of their own.",
            queries=[Query(expr=f"guardd_rate_limit_tokens{MINE}", legend="{{account}} {{bucket}}")],
            min=0,
        ),
        Panel(
            id=4,
            kind=Kind.TIMESERIES,
            title="Time until the venue answers, p95",
            description="Over five minutes.",
            queries=[
                Query(expr=f"endpoint:guardd_venue_request_seconds:p95_5m{MINE}", legend="{{account}} {{endpoint}}")
            ],
            unit="s",
        ),
        Panel(
            id=8,
            kind=Kind.TIMESERIES,
            title="Blocked by Cloudflare for",
            description="Until the block is believed to end; 0: free. One probe a minute reopens the venue.",
            queries=[
                Query(
                    expr=f"clamp_min(guardd_cloudflare_blocked_until_timestamp_seconds{MINE} - time(), 0)",
                    legend="{{account}}",
                )
            ],
            unit="s",
            min=0,
        ),
    ]


def _streams() -> list[Panel]:
    return [
        Panel(
            id=9,
            kind=Kind.TIMESERIES,
            title="Since the last frame",
            description="Of whatever kind, answers to pings included.",
            queries=[
                Query(
                    expr=f"time() - guardd_stream_last_frame_timestamp_seconds{MINE}", legend="{{account}} {{stream}}"
                )
            ],
            unit="s",
            steps=((None, GREEN), (45, YELLOW)),
            min=0,
            width=8,
        ),
        Panel(
            id=10,
            kind=Kind.TIMESERIES,
            title="Since the last full read",
            description="Due every 10 s.",
            queries=[Query(expr=f"time() - guardd_snapshot_timestamp_seconds{MINE}", legend="{{account}}")],
            unit="s",
            steps=((None, GREEN), (60, RED)),
            min=0,
            width=8,
        ),
        Panel(
            id=11,
            kind=Kind.TIMESERIES,
            title="The venue's clock minus ours",
            description="guardd reckons with it.",
            queries=[Query(expr=f"guardd_clock_offset_seconds{MINE}", legend="{{account}}")],
            unit="s",
            width=8,
        ),
    ]


def _journal() -> list[Panel]:
    return [
        Panel(
            id=13,
            kind=Kind.TIMESERIES,
            title="One durable write of the journal",
            description="Before each order.",
            queries=_quantiles("guardd_journal_write_seconds", JOB, "{{instance}} ", ", instance"),
            unit="s",
            steps=((None, GREEN), (0.25, YELLOW)),
        ),
        Panel(
            id=14,
            kind=Kind.STATE_TIMELINE,
            title="Journal",
            description="While it can't be written, no order is sent.",
            queries=[Query(expr=f"guardd_journal_durable{JOB}", legend="{{instance}}")],
            words={"1": ("written", GREEN), "0": ("can't be written", RED)},
        ),
        Panel(
            id=15,
            kind=Kind.STATE_TIMELINE,
            title="Policy file",
            description="Whether the last reload was adopted.",
            queries=[Query(expr=f"guardd_policy_last_reload_successful{JOB}", legend="{{instance}}")],
            words={"1": ("in force", GREEN), "0": ("refused", YELLOW)},
            width=8,
        ),
        Panel(
            id=19,
            kind=Kind.TIMESERIES,
            title="Reloads of the policy",
            description="",
            queries=[
                Query(
                    expr=f"sum by (instance, outcome) (increase(guardd_policy_reloads_total{JOB}{RATE}))",
                    legend="{{outcome}}",
                )
            ],
            bars=True,
            width=8,
        ),
        Panel(
            id=16,
            kind=Kind.TIMESERIES,
            title="Messages to people",
            description="",
            queries=[
                Query(
                    expr=f"sum by (instance, outcome) (increase(guardd_notifications_total{JOB}{RATE}))",
                    legend="{{outcome}}",
                )
            ],
            bars=True,
            width=8,
        ),
        Panel(
            id=21,
            kind=Kind.TIMESERIES,
            title="Heartbeats and calendar jobs",
            description="Signs of life to the dead man's switch (none without the setting), and what the scheduler ran.",
            queries=[
                Query(
                    expr=f"sum by (instance, outcome) (increase(guardd_heartbeats_total{JOB}{RATE})) or vector(0)",
                    legend="heartbeat {{outcome}}",
                ),
                Query(
                    expr=f"sum by (instance, job, outcome) (increase(guardd_scheduled_jobs_total{JOB}{RATE})) or vector(0)",
                    legend="{{job}} {{outcome}}",
                ),
            ],
            bars=True,
            width=24,
        ),
    ]
