"""The metrics of interfaces.md section 5, as a scrape sees them."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.registry import Collector

from guardd.model.account import AccountCondition
from guardd.model.event import BlockKind, StreamName
from guardd.model.facts import (
    BlockChanged,
    ClockOffsetRead,
    Contested,
    ForcedExit,
    ForcedExitKind,
    JournalWritten,
    LoopLagged,
    Refused,
    RequestFinished,
    RequestResult,
    RuleFired,
    SnapshotTaken,
)
from guardd.model.intent import Action, Stage
from guardd.model.names import RuleName, Side
from guardd.model.outcome import Accepted, Unknown
from guardd.model.reading import Absent
from guardd.telemetry.exposition import SLICE_ROWS, SLICE_SAMPLES, Row, Table, exposition
from guardd.telemetry.metrics import LastFrame, Metrics, TokensLeft, UnknownSince
from tests.changed import replace
from tests.telemetry.making import (
    BITMART,
    MAIN,
    START,
    WHO,
    balance_view,
    key,
    position,
    staged,
    unknown_position,
    view,
)

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


async def no_rest() -> None:
    await asyncio.sleep(0)


async def scraped(told: tuple[AsyncIterator[bytes], str]) -> tuple[bytes, str]:
    pieces, content_type = told
    return b"".join([piece async for piece in pieces]), content_type


async def scrape(metrics: Metrics) -> dict[str, float]:
    """Every series as `name{label="value",…}` without account and venue, which are the same everywhere here."""
    body, _ = await scraped(metrics.exposition("", rest=no_rest))
    found = {}
    for family in parse(body.decode()):
        for sample in family.samples:
            labels = {name: text for name, text in sample.labels.items() if name not in ("account", "venue")}
            told = ",".join(f"{name}={text}" for name, text in sorted(labels.items()))
            assert sample.labels.get("account", MAIN) == MAIN
            found[f"{sample.name}{{{told}}}" if told else sample.name] = sample.value
    return found


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="1.2.3", process=False)


async def test_a_position_is_rendered_from_its_latest_view(metrics: Metrics) -> None:
    metrics(view(position(mark_price=Decimal(1))))
    metrics(view(position()))
    found = await scrape(metrics)
    place = "{side=long,symbol=BTCUSDT}"
    assert {name: found[f"guardd_position_{name}{place}"] for name in (
        "quantity", "mark_price", "entry_price", "liquidation_price", "notional", "unrealized_pnl",
        "distance_to_liquidation_ratio", "protected", "unprotected_seconds_total",
    )} == {
        "quantity": 0.1, "mark_price": 89120.4, "entry_price": 90000.0, "liquidation_price": 81407.0, "notional": 8912.04,
        "unrealized_pnl": -87.96, "distance_to_liquidation_ratio": 0.0866, "protected": 1.0, "unprotected_seconds_total": 1.5,
    }  # fmt: skip
    assert found[f"guardd_liquidation_price_drift_ratio{place}"] == 0.0001


async def test_an_account_is_rendered_with_one_for_the_state_and_mode_it_is_in(metrics: Metrics) -> None:
    metrics(view(condition=AccountCondition.PARKED, mode="observe", venue_closing=True))
    found = await scrape(metrics)
    assert {state: found[f"guardd_account_state{{state={state}}}"] for state in AccountCondition} == {
        **dict.fromkeys(AccountCondition, 0.0),
        AccountCondition.PARKED: 1.0,
    }
    assert (found["guardd_mode{mode=observe}"], found["guardd_mode{mode=enforce}"]) == (1.0, 0.0)
    assert found["guardd_account_equity{currency=USDT}"] == 1042.11
    assert found["guardd_account_margin_ratio"] == 0.31
    assert found["guardd_protected_notional_ratio"] == 1.0
    assert found["guardd_venue_closing"] == 1.0
    assert found["guardd_build_info{version=1.2.3}"] == 1.0


async def test_an_account_that_was_never_seen_is_starting_and_not_silent() -> None:
    known = [(MAIN, BITMART)]
    metrics = Metrics(version="1", process=False, accounts=lambda: known)
    found = await scrape(metrics)
    assert {name: value for name, value in found.items() if name.startswith("guardd_account")} == {
        f"guardd_account_state{{state={state}}}": float(state is AccountCondition.STARTING)
        for state in AccountCondition
    }
    metrics(view(condition=AccountCondition.LIVE))
    found = await scrape(metrics)
    assert (found["guardd_account_state{state=live}"], found["guardd_account_state{state=starting}"]) == (1.0, 0.0)


async def test_each_settlement_coin_has_an_equity_of_its_own(metrics: Metrics) -> None:
    coins = {"USDT": Decimal("1042.11"), "USDC": Decimal(500), "BTC": Absent.UNKNOWN}
    metrics(view(balances=tuple(balance_view(currency, equity) for currency, equity in coins.items())))
    found = await scrape(metrics)
    told = {name: value for name, value in found.items() if name.startswith("guardd_account_equity")}
    assert told == {"guardd_account_equity{currency=USDT}": 1042.11, "guardd_account_equity{currency=USDC}": 500.0}


async def test_a_drawdown_is_a_series_of_each_balance_that_has_one(metrics: Metrics) -> None:
    known = replace(balance_view("USDT", Decimal(900)), drawdown=Decimal("0.1"))
    metrics(view(balances=(known, balance_view("USDC", Decimal(50)))))
    found = await scrape(metrics)
    told = {name: value for name, value in found.items() if name.startswith("guardd_account_drawdown")}
    assert told == {"guardd_account_drawdown_ratio{currency=USDT}": 0.1}


async def test_I19_what_is_unknown_has_no_series_rather_than_a_number(metrics: Metrics) -> None:
    metrics(view(unknown_position(), equity=Absent.UNKNOWN, margin_ratio=Absent.NONE))
    found = await scrape(metrics)
    told = {name.partition("{")[0] for name in found if "position" in name or "drift" in name}
    assert told == {
        "guardd_position_quantity",
        "guardd_position_entry_price",
        "guardd_position_protected",
        "guardd_position_unprotected_seconds_total",
    }
    assert not {"guardd_account_equity", "guardd_account_margin_ratio"} & {name.partition("{")[0] for name in found}


async def test_the_series_of_a_position_that_is_gone_are_gone(metrics: Metrics) -> None:
    metrics(view(position(), position("ETHUSDT", Side.SHORT)))
    metrics(view(position("ETHUSDT", Side.SHORT)))
    found = await scrape(metrics)
    assert not [name for name in found if "BTCUSDT" in name]
    assert found["guardd_position_quantity{side=short,symbol=ETHUSDT}"] == 0.1


async def test_actions_are_counted_by_what_became_of_them(metrics: Metrics) -> None:
    metrics(view())
    for stage in (Stage.DECIDED, Stage.JOURNALLED, Stage.SENT, Stage.ACCEPTED, Stage.VERIFIED):
        metrics(staged(stage, Accepted(order_id=None, sent_ns=1)))
    metrics(staged(Stage.UNKNOWN, Unknown(why="")))
    metrics(staged(Stage.REJECTED, action=Action.CLOSE))
    metrics(staged(Stage.REFUSED))
    metrics(Refused(**WHO, key=key(), rule=RuleName("trim"), action=Action.REDUCE, why="limit"))
    found = await scrape(metrics)
    counts = {name: value for name, value in found.items() if name.startswith("guardd_actions_total") and value}
    assert counts == {
        "guardd_actions_total{action=reduce,outcome=accepted}": 1.0,
        "guardd_actions_total{action=reduce,outcome=unknown}": 1.0,
        "guardd_actions_total{action=reduce,outcome=refused}": 2.0,
        "guardd_actions_total{action=close,outcome=rejected}": 1.0,
    }


async def test_counters_of_a_known_account_begin_at_zero(metrics: Metrics) -> None:
    metrics(view())
    found = await scrape(metrics)
    assert found["guardd_actions_total{action=stop_loss,outcome=unknown}"] == 0.0
    assert found["guardd_forced_exits_total{kind=liquidation}"] == 0.0
    assert found["guardd_contested_total"] == 0.0
    assert found["guardd_cloudflare_blocked_until_timestamp_seconds"] == 0.0
    assert found["guardd_reaction_seconds_count"] == 0.0
    assert found["guardd_notifications_total{outcome=failed}"] == 0.0


async def test_a_reaction_is_observed_once_in_buckets_from_50_microseconds_to_10_seconds(metrics: Metrics) -> None:
    metrics(staged(Stage.SENT))
    metrics(staged(Stage.ACCEPTED, reaction_s=0.00018))
    found = await scrape(metrics)
    buckets = [name for name in found if name.startswith("guardd_reaction_seconds_bucket")]
    assert buckets[0] == "guardd_reaction_seconds_bucket{le=5e-05}"
    assert buckets[-2:] == ["guardd_reaction_seconds_bucket{le=10.0}", "guardd_reaction_seconds_bucket{le=+Inf}"]
    assert found["guardd_reaction_seconds_count"] == 1.0
    assert (found["guardd_reaction_seconds_bucket{le=0.0001}"], found["guardd_reaction_seconds_bucket{le=0.0002}"]) == (
        0,
        1,
    )


async def test_every_other_fact_moves_its_metric(metrics: Metrics) -> None:
    metrics(RequestFinished(**WHO, endpoint="/positions", result=RequestResult.OK, seconds=0.03))
    metrics(RequestFinished(**WHO, endpoint="/positions", result=RequestResult.CLOUDFLARE, seconds=0.3))
    metrics(RuleFired(**WHO, key=key(), rule=RuleName("trim"), text="fired"))
    metrics(ForcedExit(**WHO, key=key(), kind=ForcedExitKind.ADL))
    metrics(Contested(**WHO, key=key(), why="reopened"))
    metrics(SnapshotTaken(**WHO, at=START))
    metrics(ClockOffsetRead(**WHO, offset_ms=-1250))
    metrics(BlockChanged(**WHO, kind=BlockKind.RATE_LIMIT, until_ms=9))
    metrics(BlockChanged(**WHO, kind=BlockKind.EDGE, until_ms=1_767_225_630_000))
    metrics(JournalWritten(seconds=0.002, records=3))
    metrics(LoopLagged(seconds=0.001))
    metrics.notification("sent")
    found = await scrape(metrics)
    assert found["guardd_venue_requests_total{endpoint=/positions,result=ok}"] == 1.0
    assert found["guardd_venue_requests_total{endpoint=/positions,result=cloudflare}"] == 1.0
    assert found["guardd_venue_request_seconds_count{endpoint=/positions}"] == 2.0
    assert found["guardd_rule_fired_total{rule=trim}"] == 1.0
    assert found["guardd_forced_exits_total{kind=adl}"] == 1.0
    assert found["guardd_contested_total"] == 1.0
    assert found["guardd_snapshot_timestamp_seconds"] == 1_767_225_600.0
    assert found["guardd_clock_offset_seconds"] == -1.25
    assert found["guardd_cloudflare_blocked_until_timestamp_seconds"] == 1_767_225_630.0
    assert found["guardd_journal_write_seconds_count"] == 1.0
    assert found["guardd_event_loop_lag_seconds_count"] == 1.0
    assert found["guardd_notifications_total{outcome=sent}"] == 1.0
    metrics(BlockChanged(**WHO, kind=BlockKind.EDGE, until_ms=0))
    assert (await scrape(metrics))["guardd_cloudflare_blocked_until_timestamp_seconds"] == 0.0


async def test_tokens_and_frames_are_asked_for_at_each_scrape() -> None:
    left = [3.0]
    metrics = Metrics(
        version="1",
        process=False,
        tokens=lambda: [TokensLeft(account=MAIN, venue=BITMART, bucket="submit-order/uid", tokens=left[0])],
        frames=lambda: [LastFrame(account=MAIN, venue=BITMART, stream=StreamName.PRIVATE, wall_ms=START.wall_ms + 500)],
    )
    name = "guardd_rate_limit_tokens{bucket=submit-order/uid}"
    found = await scrape(metrics)
    assert found[name] == 3.0
    assert found["guardd_stream_last_frame_timestamp_seconds{stream=private}"] == 1_767_225_600.5
    left[0] = 1.0
    assert (await scrape(metrics))[name] == 1.0


async def test_an_unknown_outcome_and_a_journal_that_fails_are_asked_for_at_each_scrape() -> None:
    since: list[int | None] = [None]
    metrics = Metrics(
        version="1",
        process=False,
        unknowns=lambda: [UnknownSince(account=MAIN, venue=BITMART, wall_ms=since[0])],
        durable=lambda: since[0] is None,
    )
    found = await scrape(metrics)
    assert found["guardd_unknown_outcome_since_timestamp_seconds"] == 0.0
    assert found["guardd_journal_durable"] == 1.0
    since[0] = START.wall_ms + 250
    found = await scrape(metrics)
    assert found["guardd_unknown_outcome_since_timestamp_seconds"] == 1_767_225_600.25
    assert found["guardd_journal_durable"] == 0.0


async def test_the_process_and_the_platform_are_told_too() -> None:
    body, _ = await scraped(Metrics(version="1").exposition("", rest=no_rest))
    assert b"process_resident_memory_bytes" in body
    assert b"python_info" in body
    assert b"python_gc_collections_total" in body


async def test_two_registries_live_side_by_side() -> None:
    first, second = Metrics(version="1"), Metrics(version="2")
    first(view(position()))
    assert b"BTCUSDT" not in (await scraped(second.exposition("", rest=no_rest)))[0]


async def test_openmetrics_is_given_to_who_asks_for_it(metrics: Metrics) -> None:
    metrics(view(position()))
    body, content_type = await scraped(metrics.exposition(OPENMETRICS, rest=no_rest))
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")
    assert body.count(b"# EOF") == 1
    names = {family.name for family in parse_openmetrics(body.decode())}
    assert {"guardd_position_mark_price", "guardd_actions", "guardd_reaction_seconds"} <= names
    plain, plain_type = await scraped(metrics.exposition("text/plain", rest=no_rest))
    assert plain_type.startswith("text/plain; version=0.0.4")
    assert b"# EOF" not in plain
    assert b"_created" not in plain + body


async def test_a_scrape_of_many_positions_gives_other_tasks_their_turn(metrics: Metrics) -> None:
    metrics(view(*(position(f"S{number:05d}USDT") for number in range(2000))))
    rests = 0

    async def counted() -> None:
        nonlocal rests
        rests += 1

    for accept, reader in (("", parse), (OPENMETRICS, parse_openmetrics)):
        rests = 0
        body, _ = await scraped(metrics.exposition(accept, rest=counted))
        assert rests > 2000 / SLICE_ROWS
        families = {family.name: family for family in reader(body.decode())}
        assert len(families["guardd_position_mark_price"].samples) == 2000
        assert body.count(b"# TYPE guardd_position_mark_price ") == 1


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
@given(
    rows=st.lists(
        st.tuples(
            st.tuples(st.text(max_size=6), st.text(max_size=6)),
            st.tuples(st.none() | st.floats(0, 900_000), st.floats(-900_000, 900_000)),
        ),
        max_size=2 * SLICE_ROWS + 1,
    )
)
async def test_rows_are_written_as_the_library_writes_them(accept: str, rows: list[Row]) -> None:
    labels = ("symbol", "account")
    named = (
        GaugeMetricFamily("mark", "Of it.", labels=labels),
        CounterMetricFamily("seconds", "So long.", labels=labels),
    )
    for texts, values in rows:
        for family, value in zip(named, values, strict=True):
            if value is not None:
                family.add_metric(texts, value)
    registry = CollectorRegistry()
    registry.register(_Fixed(named))
    empty = Table(families=(), labels=(), rows=())
    bare = (GaugeMetricFamily("mark", "Of it."), CounterMetricFamily("seconds", "So long."))
    table = Table(families=bare, labels=labels, rows=rows)
    theirs, _ = await scraped(exposition(registry, empty, accept, rest=no_rest))
    ours, _ = await scraped(exposition(CollectorRegistry(), table, accept, rest=no_rest))
    assert ours.decode() == theirs.decode()


class _Fixed(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families


async def test_a_view_that_comes_between_two_slices_does_not_mix_into_the_scrape(metrics: Metrics) -> None:
    metrics(view(position()))

    async def meanwhile() -> None:
        metrics(view(position("NEWUSDT")))

    body, _ = await scraped(metrics.exposition("", rest=meanwhile))
    symbols = {
        sample.labels["symbol"]
        for family in parse(body.decode())
        for sample in family.samples
        if "symbol" in sample.labels
    }
    assert len(symbols) == 1


async def test_promtool_finds_nothing_to_say_about_the_metrics() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI") == "true":
            pytest.fail("promtool is missing; .ci/run installs it with the package prometheus")
        pytest.skip("promtool is missing (Debian: the package prometheus)")
    metrics = Metrics(
        version="1",
        tokens=lambda: [TokensLeft(account=MAIN, venue=BITMART, bucket="b", tokens=1.0)],
        frames=lambda: [LastFrame(account=MAIN, venue=BITMART, stream=StreamName.PUBLIC, wall_ms=1)],
    )
    await test_every_other_fact_moves_its_metric(metrics)
    metrics(view(*(position(f"S{number}USDT") for number in range(SLICE_SAMPLES * 2 + 1))))
    metrics(staged(Stage.ACCEPTED, reaction_s=0.1))
    body, _ = await scraped(metrics.exposition("", rest=no_rest))
    done = await asyncio.to_thread(
        subprocess.run, [promtool, "check", "metrics"], input=body, capture_output=True, timeout=30
    )
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, "", "")
