"""interfaces.md 2.3, the clauses that no other test holds: when a rule acts, on data of which age, on which price."""

import asyncio
from typing import Any

import pytest

from guardd.clock import ManualClock
from guardd.daemon.reader import Reader
from guardd.errors import ConfigurationError
from guardd.model.decision import Close, Reduce
from guardd.model.event import Event, MarkSeen, PositionsRead, ReadFailed, Source
from guardd.model.fold import fold
from guardd.model.instant import NS_PER_S, Instant
from guardd.model.intent import Stage
from guardd.model.names import Side, Symbol
from guardd.policy.view import views
from tests.changed import replace
from tests.model.accounts import ETH, D, key, row
from tests.policy.guarded import SENT, Guarded, acts, cross, guarded, only, policy_of, protect, rule

NEAR, FAR = "83000", "89000"
LONG = row(venue_liquidation=D(81000))
BELOW = "{distance_to_liquidation: {below: 5%}}"
TRIM = rule(BELOW, "reduce: {by: 25%}", more="cooldown: 30s")
CLOSE = rule(BELOW, "close: {}")


def clock(here: Guarded, *, mono_s: float, wall_s: float) -> None:
    """Both clocks move, each by its own."""
    here.now = Instant(here.now.mono_ns + int(mono_s * NS_PER_S), here.now.wall_ms + int(wall_s * 1000))


# for, cooldown


@pytest.mark.parametrize(("mono_s", "wall_s", "held"), [(2.1, -3600, True), (2.1, 0, True), (1.9, 7200, False)])
def test_for_counts_on_the_monotonic_clock(mono_s: float, wall_s: float, held: bool) -> None:
    here = guarded(policy_of(rule(BELOW, "close: {}", more="for: 2s")), LONG)
    assert acts(here.mark(NEAR)) == []
    clock(here, mono_s=mono_s, wall_s=wall_s)
    assert bool(acts(here.mark(NEAR))) is held


def test_without_for_a_rule_acts_at_once() -> None:
    assert len(acts(guarded(policy_of(CLOSE), LONG).mark(NEAR))) == 1


def test_a_rule_without_when_is_always_true() -> None:
    here = guarded(policy_of("name: w\nthen: [notify: {severity: info}]"), LONG)
    assert [tell.rule for tell in here.mark(FAR).told] == ["w"]


def test_the_cooldown_counts_from_the_verified_outcome_and_not_from_the_decision() -> None:
    here = guarded(policy_of(TRIM), LONG)
    intent = here.send(only(here.mark(NEAR), Reduce), *SENT)
    here.wait(10)
    for stage in (Stage.ACCEPTED, Stage.VERIFIED):
        here.move(intent, stage)
    here.wait(29)
    assert acts(here.look()) == []
    here.wait(1.1)
    assert len(acts(here.look())) == 1


def test_an_unknown_outcome_that_turns_out_void_starts_no_cooldown() -> None:
    here = guarded(policy_of(TRIM), LONG)
    here.send(only(here.mark(NEAR), Reduce), *SENT, Stage.UNKNOWN, Stage.VOID)
    assert len(acts(here.look())) == 1


def test_the_cooldown_is_thirty_seconds_where_the_rule_says_none() -> None:
    here = guarded(policy_of(rule(BELOW, "reduce: {by: 25%}")), LONG)
    here.send(only(here.mark(NEAR), Reduce), *SENT, Stage.ACCEPTED, Stage.VERIFIED)
    here.wait(29.5)
    assert acts(here.look()) == []
    here.wait(0.6)
    assert len(acts(here.look())) == 1


def test_a_rule_acts_again_and_again_while_its_condition_is_true() -> None:
    here = guarded(policy_of(rule(BELOW, "reduce: {by: 10%}", more="cooldown: 1s")), LONG)
    here.mark(NEAR)
    for _ in range(3):
        here.send(only(here.look(), Reduce), *SENT, Stage.ACCEPTED, Stage.VERIFIED)
        here.wait(1.1)
    assert len(acts(here.look())) == 1
    assert acts(here.mark(FAR)) == []


@pytest.mark.parametrize("action", ["close: {}", "reduce: {by: 25%}"])
def test_a_reducing_rule_of_either_kind_is_held_at_first_sight(action: str) -> None:
    here = guarded(policy_of(rule(BELOW, action)), LONG, shown=False)
    assert acts(here.mark(NEAR)) == []
    assert acts(here.look()) == []


def test_a_position_that_appears_in_a_run_is_at_first_sight_though_others_were_shown() -> None:
    here = guarded(policy_of(CLOSE), LONG)
    other = row(symbol=ETH, venue_liquidation=D(81000), opened_ms=here.now.wall_ms)
    fold(here.state, MarkSeen(ETH, D(NEAR), here.now))
    here.state.instruments[ETH] = replace(here.state.instruments[LONG.key.symbol], symbol=ETH)
    here.read(LONG, other)
    here.mark(NEAR, ETH)
    assert [close.key.symbol for close in acts(here.mark(NEAR))] == [LONG.key.symbol]


# Ages


def stale(here: Guarded) -> tuple[str, ...]:
    """What is too old of the only position, by the names of its sources."""
    [view] = views(here.policy, here.state, here.now)
    return tuple(text.split(":")[0] for text in view.stale)


def aged(here: Guarded, read_s: float, mark: str) -> Guarded:
    """Its position and account were read so long ago; its mark is new."""
    here.wait(read_s, read=False)
    here.frame(mark, last=mark, index=mark)
    return here


@pytest.mark.parametrize(
    ("mark", "read_s", "expected"),
    [
        ("91000", 14.9, ()),  # 11 % away: further than twice the distance of the rule at 5 %
        ("91000", 15.1, ("position",)),
        ("89000", 2.9, ()),  # 9 % away
        ("89000", 3.1, ("position",)),
        ("83000", 3.1, ("position",)),
    ],
)
def test_reads_may_be_fifteen_seconds_old_and_three_within_twice_the_nearest_triggers_distance(
    mark: str, read_s: float, expected: tuple[str, ...]
) -> None:
    assert stale(aged(guarded(policy_of(CLOSE), LONG), read_s, mark)) == expected


@pytest.mark.parametrize(("read_s", "expected"), [(14.9, ()), (15.1, ("position", "account"))])
def test_the_account_behind_a_cross_position_may_be_fifteen_seconds_old(
    read_s: float, expected: tuple[str, ...]
) -> None:
    assert stale(aged(guarded(policy_of(CLOSE), cross()), read_s, FAR)) == expected


@pytest.mark.parametrize(("mark_s", "expected"), [(6.9, ()), (7.1, ("mark",))])
def test_a_mark_may_be_as_old_as_stale_after(mark_s: float, expected: tuple[str, ...]) -> None:
    here = guarded(policy_of(CLOSE, stale_after="7s"), LONG)
    here.wait(mark_s, read=False)
    here.read()
    fold(here.state, MarkSeen(key().symbol, D(FAR), here.now.later_by(-mark_s)))
    assert stale(here) == expected


def test_blind_and_holding_nothing_is_reduced_and_the_resting_stop_stays_wanted() -> None:
    stop = "name: s\nthen: [stop_loss: {trigger: {from_entry: -8%}}]"
    here = guarded(policy_of(stop, CLOSE, TRIM.replace("name: r", "name: t")), LONG)
    here.mark(NEAR)
    here.wait(20, read=False)
    decided = here.look()
    assert acts(decided) == []
    assert [order.trigger_price for order in protect(decided).wanted] == [D(82800)]


# One bad price


def test_I28_while_nothing_confirms_a_mark_the_resting_stop_stands() -> None:
    stop = "name: s\nthen: [stop_loss: {trigger: {from_entry: -8.5%}}]"
    here = guarded(policy_of(stop, CLOSE), LONG)
    here.mark(FAR)
    for decided in (here.bare(NEAR), here.look()):
        assert acts(decided) == []
        assert [order.trigger_price for order in protect(decided).wanted] == [D(82350)]


@pytest.mark.parametrize("side", list(Side))
def test_I28_the_last_price_is_never_taken_for_the_mark(side: Side) -> None:
    liquidation, past = (D(81000), "82000") if side is Side.LONG else (D(99000), "98000")
    here = guarded(policy_of(CLOSE), row(side, mark="90000", venue_liquidation=liquidation))
    decided = here.mark("90000", last=past)
    assert acts(decided) == []
    assert decided.risks[0].mark == D(90000)
    assert acts(here.mark("90000", last=past)) == []


def test_I28_of_several_witnesses_the_first_that_comes_confirms() -> None:
    """The REST mark came before the next frame did: nothing waits for both."""
    here = guarded(policy_of(CLOSE), LONG)
    here.mark(FAR)
    assert here.bare(NEAR).ask_rest == {Symbol("BTCUSDT")}
    rest = MarkSeen(key().symbol, D(NEAR), here.now.later_by(0.2), source=Source.REST)
    here.now = rest.at
    here.state.rest_marks[rest.symbol] = rest
    assert isinstance(acts(here.look())[0], Close)


# When blind


def test_blind_rules_reduce_by_a_share_or_close_and_aim_at_nothing() -> None:
    blind = "{all: [{distance_to_liquidation: {below: 5%}}, {data_age: {above: 20s}}]}"
    for action in ("reduce: {by: 25%}", "close: {}"):
        here = guarded(policy_of(rule(blind, action, more="when_blind: act")), LONG)
        here.mark(NEAR)
        here.wait(21, read=False)
        [step] = acts(here.look())
        assert step.blind
    with pytest.raises(ConfigurationError, match="sizes need fresh data"):
        policy_of(rule(blind, "reduce: {until: {distance_to_liquidation: 12%}}", more="when_blind: act"))


# The read before a closing move


class _SlowVenue:
    """Answers its first read of the positions after three seconds, and every other one at once."""

    balances = orders = position_mode = clock_offset_ms = instruments = ledger = None

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.asked = 0

    async def positions(self) -> PositionsRead:
        started = self._clock.now()
        self.asked += 1
        if self.asked == 1:
            await self._clock.sleep(3)
        return PositionsRead(started=started, at=self._clock.now(), positions=())


async def test_the_read_before_a_closing_move_is_given_up_after_half_a_second() -> None:
    clock = ManualClock()
    events: list[Event] = []
    venue: Any = _SlowVenue(clock)
    reader = Reader(venue=venue, post=events.append, clock=clock)
    task = asyncio.create_task(dict(reader.tasks())["read-at-once"]())
    reader.want_positions_at_once()
    await clock.advance(0.4)
    assert events == []
    await clock.advance(0.2)
    assert [type(event) for event in events] == [ReadFailed]
    reader.want_positions_at_once()
    await clock.advance(0.3)
    assert [type(event) for event in events] == [ReadFailed, PositionsRead]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
