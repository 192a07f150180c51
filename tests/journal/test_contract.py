"""The contract of every journal: the same suite runs against each."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from guardd.clock import ManualClock
from guardd.errors import JournalError
from guardd.journal.base import Journal, Memory, Remembered, RuleMark
from guardd.journal.memory import MemoryJournal
from guardd.journal.sqlite import SqliteJournal
from guardd.journal.worker import InlineWorker, ThreadWorker
from guardd.model.highwater import HighWater
from guardd.model.intent import Stage
from guardd.model.names import AccountName, EpisodeId, OrderId, RuleName
from guardd.model.outcome import Accepted, Reason, Rejected, Unknown
from tests.changed import replace
from tests.journal.making import HEDGE, HOUR_S, MAIN, at, cancel, episode, intent, key, moved, stop


@dataclass(slots=True)
class Bench:
    """A journal, and how to stop it and start it again on the same data."""

    clock: ManualClock
    journal: Journal
    restart: Callable[[Journal], Awaitable[Journal]]

    async def again(self) -> Journal:
        self.journal = await self.restart(self.journal)
        return self.journal

    async def memory(self, account: str = MAIN) -> Memory:
        """What a restart wakes up with."""
        return await (await self.again()).recall(account)


@pytest.fixture(params=["memory", "sqlite-thread", "sqlite-inline"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    clock = ManualClock()

    def opened() -> SqliteJournal:
        worker = ThreadWorker() if request.param == "sqlite-thread" else InlineWorker()
        return SqliteJournal.open(tmp_path, now=clock.now, listen=lambda _: None, worker=worker)

    async def reopened(journal: Journal) -> Journal:
        await journal.close()
        if isinstance(journal, MemoryJournal):
            journal.reopen()
            return journal
        return opened()

    first: Journal = MemoryJournal(now=clock.now) if request.param == "memory" else opened()
    bench = Bench(clock, first, reopened)
    yield bench
    await bench.journal.close()


async def test_an_empty_journal_remembers_nothing(bench: Bench) -> None:
    assert await bench.memory() == Memory(
        unfinished=(),
        recent=(),
        episodes=(),
        rule_marks=(),
        order_ids=frozenset(),
        halted=False,
        parked=None,
    )


async def test_an_intent_that_was_never_moved_wakes_up_as_journalled_and_exactly_as_it_was(bench: Bench) -> None:
    meant = stop()
    await bench.journal.intend(meant)
    memory = await bench.memory()
    assert memory.unfinished == (
        Remembered(intent=meant, stage=Stage.JOURNALLED, outcome=None, order_id=None, filled=None, at_ms=at().wall_ms),
    )
    assert str(memory.unfinished[0].intent.closed_before) == "0.000"
    assert memory.client_ids == {meant.id}


@pytest.mark.parametrize(
    "outcome",
    [
        Accepted(order_id=OrderId("77"), sent_ns=5),
        Accepted(order_id=None, sent_ns=5),
        Rejected(reason=Reason.RATE_LIMITED, code="429", text="ünter", retry_after_s=1.5),
        Unknown(why="timed out"),
    ],
)
async def test_an_unfinished_intent_wakes_up_as_last_known(
    bench: Bench, outcome: Accepted | Rejected | Unknown
) -> None:
    meant = intent()
    await bench.journal.intend(meant)
    bench.journal.note(moved(meant, Stage.SENT, 1))
    bench.journal.note(moved(meant, Stage.UNKNOWN, 2, outcome=outcome))
    (known,) = (await bench.memory()).unfinished
    assert (known.stage, known.outcome, known.at_ms) == (Stage.UNKNOWN, outcome, at(2).wall_ms)


async def test_what_was_told_once_stays_known_when_later_moves_are_silent(bench: Bench) -> None:
    meant = intent()
    await bench.journal.intend(meant)
    accepted = Accepted(order_id=OrderId("77"), sent_ns=5)
    bench.journal.note(moved(meant, Stage.ACCEPTED, 1, outcome=accepted))
    bench.journal.note(moved(meant, Stage.VERIFIED, 2, filled=Decimal("1.50")))
    (known,) = (await bench.memory()).recent
    assert known == Remembered(
        intent=meant,
        stage=Stage.VERIFIED,
        outcome=accepted,
        order_id=OrderId("77"),
        filled=Decimal("1.50"),
        at_ms=at(2).wall_ms,
    )


async def test_finished_intents_are_recalled_for_a_day_and_unfinished_ones_for_ever(bench: Bench) -> None:
    done, open_ = intent(0), intent(1)
    await bench.journal.intend(done)
    await bench.journal.intend(open_)
    bench.journal.note(moved(done, Stage.VERIFIED, 1))
    bench.clock.pass_time(23 * HOUR_S)
    assert len((await bench.memory()).recent) == 1
    bench.clock.pass_time(2 * HOUR_S)
    memory = await bench.memory()
    assert memory.recent == ()
    assert [known.intent.id for known in memory.unfinished] == [open_.id]
    assert memory.client_ids == {done.id, open_.id}


async def test_I24_a_record_from_the_future_counts_as_recent(bench: Bench) -> None:
    meant = intent()
    await bench.journal.intend(meant)
    bench.journal.note(moved(meant, Stage.VERIFIED, 10))
    bench.clock.step_wall(-HOUR_S)
    assert len((await bench.memory()).recent) == 1


async def test_I20_a_refused_decision_is_kept_with_its_inputs_though_it_was_never_meant(bench: Bench) -> None:
    refused = intent()
    bench.journal.note(moved(refused, Stage.REFUSED, 1))
    memory = await bench.memory()
    assert [known.intent for known in memory.recent] == [refused]
    assert memory.client_ids == frozenset()
    assert memory.rule_marks == ()


async def test_I07_an_intent_that_stands_is_never_taken_twice(bench: Bench) -> None:
    meant = intent()
    await bench.journal.intend(meant)
    with pytest.raises(JournalError, match=f"intent {meant.id} is journalled already and stands at journalled"):
        await bench.journal.intend(meant)
    bench.journal.note(moved(meant, Stage.VERIFIED))
    with pytest.raises(JournalError, match="stands at verified"):
        await bench.journal.intend(meant)
    again = await bench.again()
    with pytest.raises(JournalError, match="stands at verified"):
        await again.intend(meant)


@pytest.mark.parametrize("stage", [Stage.VOID, Stage.REFUSED, Stage.REJECTED])
async def test_I07_an_intent_that_did_not_happen_may_be_meant_again_under_its_id(bench: Bench, stage: Stage) -> None:
    """Rejected too: a request that was void keeps its id through rejections, and must not be lost to the journal then."""
    meant = intent()
    if stage is not Stage.REFUSED:
        await bench.journal.intend(meant)
        bench.journal.note(moved(meant, Stage.UNKNOWN, 1, outcome=Unknown(why="reset"), order_id="9"))
    bench.journal.note(moved(meant, stage, 2))
    again = intent(decided=at(3))
    await bench.journal.intend(again)
    (known,) = (await bench.memory()).unfinished
    assert (known.intent, known.stage, known.outcome, known.order_id) == (again, Stage.JOURNALLED, None, None)


async def test_a_move_of_an_intent_that_nobody_meant_changes_nothing_that_is_remembered(bench: Bench) -> None:
    bench.journal.note(moved(intent(), Stage.DECIDED))
    memory = await bench.memory()
    assert (memory.unfinished, memory.recent) == ((), ())


async def test_order_ids_of_what_we_placed_are_ours_and_those_that_we_cancelled_are_not(bench: Bench) -> None:
    placed, ended = stop(), cancel("999")
    for meant, order_id in ((placed, "500"), (ended, "999")):
        await bench.journal.intend(meant)
        bench.journal.note(moved(meant, Stage.ACCEPTED, 1, outcome=Accepted(order_id=OrderId(order_id), sent_ns=1)))
    bench.journal.note(moved(placed, Stage.VERIFIED, 2, order_id="501"))
    assert (await bench.memory()).order_ids == {OrderId("500"), OrderId("501")}


async def test_rule_marks_count_steps_and_remember_the_last_verified_one(bench: Bench) -> None:
    ends = [Stage.VERIFIED, Stage.FAILED, Stage.VERIFIED, Stage.VOID, Stage.REFUSED]
    for step, end in enumerate(ends):
        meant = intent(step)
        if end is not Stage.REFUSED:
            await bench.journal.intend(meant)
        bench.journal.note(moved(meant, end, 10 + step))
    await bench.journal.intend(intent(0, rule="running"))
    never = intent(0, rule="never", episode="e2")
    await bench.journal.intend(never)
    bench.journal.note(moved(never, Stage.REJECTED, 20))
    assert (await bench.memory()).rule_marks == (
        RuleMark(episode=EpisodeId("e1"), rule=RuleName("trim"), steps=3, verified_ms=at(12).wall_ms),
        RuleMark(episode=EpisodeId("e2"), rule=RuleName("never"), steps=1, verified_ms=None),
    )


async def test_open_episodes_are_recalled_as_last_noted_and_ended_ones_are_not(bench: Bench) -> None:
    bench.journal.note_episode(episode("e1", "3"), ended=False, at=at(1))
    bench.journal.note_episode(episode("e2"), ended=False, at=at(1))
    bench.journal.note_episode(episode("e1", "4.50"), ended=False, at=at(2))
    bench.journal.note_episode(episode("e2"), ended=True, at=at(3))
    assert (await bench.memory()).episodes == (episode("e1", "4.50"),)


@pytest.mark.parametrize(
    ("words", "halted", "parked"),
    [
        (["halt"], True, None),
        (["flatten"], True, None),
        (["halt", "resume"], False, None),
        (["park"], False, "why park"),
        (["park", "halt"], True, "why park"),
        (["park", "halt", "resume"], False, None),
        (["halt", "confirm", "policy"], True, None),
    ],
)
async def test_halted_and_parked_survive_a_restart_until_resume(
    bench: Bench, words: list[str], halted: bool, parked: str | None
) -> None:
    for word in words:
        bench.journal.note_word(MAIN, word, f"why {word}", at())
    memory = await bench.memory()
    assert (memory.halted, memory.parked) == (halted, parked)


async def test_the_last_high_of_each_balance_survives_a_restart(bench: Bench) -> None:
    first = HighWater(
        currency="USDT",
        day=20_000,
        high=Decimal("1042.11"),
        wallets=(("USDT", Decimal("1000.5")),),
        settled_ms=1_728_000_000_000,
        taken=((1_728_000_000_500, "row-1"), (1_728_000_000_500, "row-2")),
    )
    other = replace(first, currency="USDC", high=None, taken=())
    last = replace(first, high=Decimal("1100"), noted_ms=1_728_000_001_000)
    for whose, water in ((MAIN, first), (MAIN, other), (HEDGE, first), (MAIN, last)):
        bench.journal.note_high_water(AccountName(whose), water, at())
    assert (await bench.memory(MAIN)).high_waters == (other, last)


async def test_accounts_are_kept_apart(bench: Bench) -> None:
    await bench.journal.intend(intent(account=MAIN))
    await bench.journal.intend(intent(account=HEDGE))
    bench.journal.note_episode(episode("e9", account=HEDGE), ended=False, at=at())
    bench.journal.note_word(HEDGE, "halt", "", at())
    bench.journal.note_rule(key(account=HEDGE), EpisodeId("e9"), RuleName("trim"), "fired", at())
    main = await bench.memory(MAIN)
    assert [known.intent.account for known in main.unfinished] == [MAIN]
    assert (main.episodes, main.halted) == ((), False)
    assert (await bench.journal.recall(HEDGE)).halted


async def test_unfinished_intents_come_oldest_first(bench: Bench) -> None:
    for step, seconds in ((0, 30), (1, 10), (2, 20)):
        await bench.journal.intend(intent(step, decided=at(seconds)))
    assert [known.intent.step for known in (await bench.memory()).unfinished] == [1, 2, 0]


async def test_recall_sees_everything_that_was_noted_before_it(bench: Bench) -> None:
    meant = intent()
    await bench.journal.intend(meant)
    bench.journal.note(moved(meant, Stage.SENT))
    memory = await bench.journal.recall(MAIN)
    assert [known.stage for known in memory.unfinished] == [Stage.SENT]


async def test_a_closed_journal_takes_nothing_and_can_be_closed_again(bench: Bench) -> None:
    await bench.journal.close()
    await bench.journal.close()
    with pytest.raises(JournalError, match="closed"):
        await bench.journal.intend(intent())
    with pytest.raises(JournalError, match="closed"):
        bench.journal.note_word(MAIN, "halt", "", at())


async def test_marks_of_an_open_episode_outlive_the_day_and_those_of_an_ended_one_do_not(bench: Bench) -> None:
    for name, ended in (("e1", False), ("e2", True)):
        meant = intent(0, episode=name)
        await bench.journal.intend(meant)
        bench.journal.note(moved(meant, Stage.VERIFIED, 1))
        bench.journal.note_episode(episode(name), ended=ended, at=at(2))
    bench.clock.pass_time(48 * HOUR_S)
    memory = await bench.memory()
    assert [mark.episode for mark in memory.rule_marks] == ["e1"]
    assert [each.intent.episode for each in memory.recent] == ["e1"], (
        "what was closed of a life counts as long as it lasts"
    )
    assert len(memory.client_ids) == 2


async def test_a_memory_journal_can_be_told_to_fail_as_a_full_disk_would() -> None:
    journal = MemoryJournal()
    journal.failure = "disk full"
    with pytest.raises(JournalError, match="disk full"):
        await journal.intend(intent())
    assert journal.intended == []
