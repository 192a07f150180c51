"""Facts as Prometheus metrics (interfaces.md section 5). A listener; the core never imports Prometheus."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Final, Generic, TypeVar

from msgspec import Struct
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from guardd.model.event import BlockKind, StreamName
from guardd.model.facts import (
    AccountView,
    BlockChanged,
    ClockOffsetRead,
    Contested,
    Fact,
    ForcedExit,
    ForcedExitKind,
    IntentStaged,
    JournalWritten,
    LoopLagged,
    Refused,
    RequestFinished,
    RuleFired,
    SnapshotTaken,
)
from guardd.model.instant import MS_PER_S
from guardd.model.intent import Action, Stage
from guardd.model.names import AccountName, VenueName
from guardd.telemetry.exposition import exposition
from guardd.telemetry.gauges import ACCOUNT_LABELS, ViewCollector

REACTION_BUCKETS_S: Final = (
    *(50e-6, 100e-6, 200e-6, 500e-6),
    *(1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)
"""From what the fastest client in Python reaches on loopback to what no longer helps."""
REQUEST_BUCKETS_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LAG_BUCKETS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
WRITE_BUCKETS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)
_OUTCOMES: Final[dict[Stage, str]] = {
    Stage.ACCEPTED: "accepted",
    Stage.REJECTED: "rejected",
    Stage.UNKNOWN: "unknown",
    Stage.REFUSED: "refused",
}
NOTIFICATION_OUTCOMES: Final = ("sent", "failed", "dropped")
HEARTBEAT_OUTCOMES: Final = ("sent", "failed", "withheld")
RELOAD_OUTCOMES: Final = ("adopted", "unchanged", "refused")


class TokensLeft(Struct, frozen=True, kw_only=True):
    """Calls that a bucket would let through now; asked for at each scrape."""

    account: AccountName
    venue: VenueName
    bucket: str
    tokens: float


class LastFrame(Struct, frozen=True, kw_only=True):
    """When a stream's last frame arrived, wall ms; asked for at each scrape."""

    account: AccountName
    venue: VenueName
    stream: StreamName
    wall_ms: int


class UnknownSince(Struct, frozen=True, kw_only=True):
    """Since when an account's oldest write of unknown outcome is so, wall ms; None: there is none. Asked for at each scrape."""

    account: AccountName
    venue: VenueName
    wall_ms: int | None


class Metrics:
    """Every metric of guardd, in a registry of its own. Children are made once and kept: `labels()` costs a microsecond."""

    def __init__(
        self,
        *,
        version: str,
        tokens: Callable[[], Iterable[TokensLeft]] = lambda: (),
        frames: Callable[[], Iterable[LastFrame]] = lambda: (),
        unknowns: Callable[[], Iterable[UnknownSince]] = lambda: (),
        durable: Callable[[], bool] = lambda: True,
        accounts: Callable[[], Iterable[tuple[AccountName, VenueName]]] = lambda: (),
        process: bool = True,
    ) -> None:
        self.registry = CollectorRegistry()
        self._views = ViewCollector(accounts)
        self._sampled = _Sampled(tokens=tokens, frames=frames, unknowns=unknowns, durable=durable)
        if process:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
            GCCollector(registry=self.registry)
        Gauge("guardd_build_info", "The version that runs.", ("version",), registry=self.registry).labels(version).set(
            1
        )
        self._make_counters()
        self._make_timings()
        self.registry.register(self._sampled)
        self.registry.register(self._views)

    def _make_counters(self) -> None:
        self._rules = _Children(self._counter("guardd_rule_fired", "Times that a rule fired.", "rule"))
        self._actions = _Children(
            self._counter("guardd_actions", "What became of an action that was decided.", "action", "outcome")
        )
        self._requests = _Children(
            self._counter("guardd_venue_requests", "Requests to the venue, by what came of them.", "endpoint", "result")
        )
        self._forced = _Children(
            self._counter("guardd_forced_exits", "Positions ended by somebody else than the guard.", "kind")
        )
        self._contested = _Children(
            self._counter("guardd_contested", "Times that a user or a bot worked against the guard.")
        )
        self._notifications = Counter(
            "guardd_notifications", "Messages to people, by what came of them.", ("outcome",), registry=self.registry
        )
        for outcome in NOTIFICATION_OUTCOMES:
            self._notifications.labels(outcome)
        self._heartbeats = Counter(
            "guardd_heartbeats",
            "Signs of life to the dead man's switch, by what came of them; none without the setting.",
            ("outcome",),
            registry=self.registry,
        )
        self._jobs = Counter(
            "guardd_scheduled_jobs",
            "Runs of calendar jobs, by what came of them.",
            ("job", "outcome"),
            registry=self.registry,
        )
        self._reloads = Counter(
            "guardd_policy_reloads",
            "Reloads of the policy, by what came of them.",
            ("outcome",),
            registry=self.registry,
        )
        for outcome in RELOAD_OUTCOMES:
            self._reloads.labels(outcome)
        self._reloaded = Gauge(
            "guardd_policy_last_reload_successful",
            "0 while the policy's file is one that was refused.",
            registry=self.registry,
        )
        self._reloaded.set(1)

    def _make_timings(self) -> None:
        self._reaction = _Children(
            self._histogram(
                "guardd_reaction_seconds",
                "Price frame received until the order's last byte was handed to the socket.",
                REACTION_BUCKETS_S,
            )
        )
        self._request_time = _Children(
            self._histogram(
                "guardd_venue_request_seconds", "Time until the venue's answer was in.", REQUEST_BUCKETS_S, "endpoint"
            )
        )
        self._blocked = _Children(
            self._gauge("guardd_cloudflare_blocked_until_timestamp_seconds", "When the block ends; 0 when free.")
        )
        self._snapshot = _Children(self._gauge("guardd_snapshot_timestamp_seconds", "When the last full read was in."))
        self._offset = _Children(self._gauge("guardd_clock_offset_seconds", "The venue's clock minus ours."))
        self._lag = Histogram(
            "guardd_event_loop_lag_seconds", "How late the loop turned.", buckets=LAG_BUCKETS_S, registry=self.registry
        )
        self._written = Histogram(
            "guardd_journal_write_seconds",
            "One durable write of the journal, its sync included.",
            buckets=WRITE_BUCKETS_S,
            registry=self.registry,
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, (*ACCOUNT_LABELS, *labels), registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, ACCOUNT_LABELS, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, text, (*ACCOUNT_LABELS, *labels), buckets=buckets, registry=self.registry)

    def exposition(self, accept: str, *, rest: Callable[[], Awaitable[None]]) -> tuple[AsyncIterator[bytes], str]:
        """Body, in pieces, and content type of /metrics. `rest` (a clock's `sleep(0)`) is awaited after each slice."""
        return exposition(self.registry, self._views.positions(), accept, rest=rest)

    def families(self) -> Iterator[Metric]:
        """Everything that a scrape names; the positions' without their series."""
        yield from self.registry.collect()
        yield from self._views.positions().families

    def notification(self, outcome: str) -> None:
        """Count one message: `sent`, `failed` or `dropped`."""
        self._notifications.labels(outcome).inc()

    def heartbeat(self, outcome: str) -> None:
        """Count one heartbeat: `sent`, `failed` or `withheld`."""
        for each in HEARTBEAT_OUTCOMES:
            self._heartbeats.labels(each)
        self._heartbeats.labels(outcome).inc()

    def scheduled_job(self, job: str, outcome: str) -> None:
        """Count one run of a calendar job: `done`, `failed`, `missed` or `overlapped`."""
        self._jobs.labels(job, outcome).inc()

    def policy_reload(self, outcome: str) -> None:
        """Count one reload: `adopted`, `unchanged` or `refused`."""
        self._reloads.labels(outcome).inc()
        self._reloaded.set(outcome != "refused")

    def __call__(self, fact: Fact, /) -> None:
        match fact:
            case RequestFinished(account=account, venue=venue, endpoint=endpoint, result=result, seconds=seconds):
                self._requests(account, venue, endpoint, result).inc()
                self._request_time(account, venue, endpoint).observe(seconds)
            case JournalWritten(seconds=seconds):
                self._written.observe(seconds)
            case LoopLagged(seconds=seconds):
                self._lag.observe(seconds)
            case AccountView():
                self._view(fact)
            case IntentStaged():
                self._staged(fact)
            case BlockChanged(account=account, venue=venue, kind=kind, until_ms=until_ms):
                if kind is BlockKind.EDGE:
                    self._blocked(account, venue).set(until_ms / MS_PER_S)
            case _:
                self._seldom(fact)

    def _seldom(self, fact: Fact) -> None:
        match fact:
            case RuleFired(account=account, venue=venue, rule=rule):
                self._rules(account, venue, rule).inc()
            case Refused(account=account, venue=venue, action=action):
                self._actions(account, venue, action, "refused").inc()
            case SnapshotTaken(account=account, venue=venue, at=at):
                self._snapshot(account, venue).set(at.wall_ms / MS_PER_S)
            case ClockOffsetRead(account=account, venue=venue, offset_ms=offset_ms):
                self._offset(account, venue).set(offset_ms / MS_PER_S)
            case ForcedExit(account=account, venue=venue, kind=exit_kind):
                self._forced(account, venue, exit_kind).inc()
            case Contested(account=account, venue=venue):
                self._contested(account, venue).inc()
            case _:
                pass  # Said is counted where it is delivered; streams are sampled: a count for each frame would cost too much

    def _staged(self, fact: IntentStaged) -> None:
        if (outcome := _OUTCOMES.get(fact.stage)) is not None:
            self._actions(fact.account, fact.venue, fact.intent.action, outcome).inc()
        if fact.reaction_s is not None:
            self._reaction(fact.account, fact.venue).observe(fact.reaction_s)

    def _view(self, view: AccountView) -> None:
        if view.account not in self._views.views:
            self._meet(view.account, view.venue)
        self._views(view)

    def _meet(self, account: AccountName, venue: VenueName) -> None:
        """Counters begin at zero, or the first event would be no increase to Prometheus."""
        for action in Action:
            for outcome in _OUTCOMES.values():
                self._actions(account, venue, action, outcome)
        for kind in ForcedExitKind:
            self._forced(account, venue, kind)
        self._contested(account, venue)
        self._blocked(account, venue)
        self._reaction(account, venue)


class _Sampled:
    """What is asked for at each scrape rather than told each time it changes."""

    def __init__(
        self,
        *,
        tokens: Callable[[], Iterable[TokensLeft]],
        frames: Callable[[], Iterable[LastFrame]],
        unknowns: Callable[[], Iterable[UnknownSince]],
        durable: Callable[[], bool],
    ) -> None:
        self._tokens = tokens
        self._frames = frames
        self._unknowns = unknowns
        self._durable = durable

    def collect(self) -> Iterator[Metric]:
        tokens = GaugeMetricFamily(
            "guardd_rate_limit_tokens",
            "Calls that the budget would let through now.",
            labels=(*ACCOUNT_LABELS, "bucket"),
        )
        for left in self._tokens():
            tokens.add_metric((left.account, left.venue, left.bucket), left.tokens)
        yield tokens
        frames = GaugeMetricFamily(
            "guardd_stream_last_frame_timestamp_seconds",
            "When the stream's last frame arrived, of whatever kind.",
            labels=(*ACCOUNT_LABELS, "stream"),
        )
        for last in self._frames():
            frames.add_metric((last.account, last.venue, last.stream), last.wall_ms / MS_PER_S)
        yield frames
        unknowns = GaugeMetricFamily(
            "guardd_unknown_outcome_since_timestamp_seconds",
            "Since when the oldest write whose outcome is unknown is so; 0 when there is none.",
            labels=ACCOUNT_LABELS,
        )
        for oldest in self._unknowns():
            unknowns.add_metric((oldest.account, oldest.venue), (oldest.wall_ms or 0) / MS_PER_S)
        yield unknowns
        yield GaugeMetricFamily(
            "guardd_journal_durable",
            "0 while the journal can't be written: no order is sent then.",
            int(self._durable()),
        )


_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)


class _Children(Generic[_Metric]):
    """The children of one metric, each made once."""

    def __init__(self, parent: _Metric) -> None:
        self._parent: _Metric = parent
        self._made: dict[tuple[str, ...], _Metric] = {}

    def __call__(self, *labels: str) -> _Metric:
        child = self._made.get(labels)
        if child is None:
            child = self._made[labels] = self._parent.labels(*labels)
        return child
