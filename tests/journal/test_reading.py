"""Asking the journal: lists, stories, the chain and what breaks it, and pruning."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from guardd.clock import ManualClock
from guardd.errors import JournalError
from guardd.journal.entry import RecordKind
from guardd.journal.reading import ChainVerdict, JournalReader
from guardd.journal.sqlite import FILE_NAME, SqliteJournal
from guardd.journal.store import RECORDS_PER_CUT, link
from guardd.journal.worker import InlineWorker
from guardd.model.fill import Fill
from guardd.model.intent import Stage
from guardd.model.names import EpisodeId, OrderId, RuleName
from tests.changed import replace
from tests.journal.making import HEDGE, HOUR_S, MAIN, at, episode, intent, key, moved, stop

DAY_S = 24 * HOUR_S


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def journal(tmp_path: Path, clock: ManualClock) -> AsyncIterator[SqliteJournal]:
    made = SqliteJournal.open(tmp_path, now=clock.now, listen=lambda _: None, worker=InlineWorker())
    yield made
    await made.close()


async def fill(journal: SqliteJournal, steps: int = 4) -> None:
    journal.note_episode(episode(), ended=False, at=at())
    for step in range(steps):
        meant = intent(step, decided=at(step * 10))
        journal.note_rule(key(), EpisodeId("e1"), RuleName("trim"), f"fired {step}", at(step * 10))
        await journal.intend(meant)
        journal.note(moved(meant, Stage.SENT, step * 10 + 1))
        journal.note(moved(meant, Stage.VERIFIED, step * 10 + 2, filled=Decimal(1)))
    await journal.intend(intent(0, account=HEDGE))
    await journal.flush()


def alter(folder: Path, statement: str, *parameters: object) -> None:
    connection = sqlite3.connect(folder / FILE_NAME)
    with connection:
        assert connection.execute(statement, parameters).rowcount > 0
    connection.close()


def problems(folder: Path) -> dict[str, str | None]:
    with JournalReader.open(folder) as reader:
        return {verdict.account: verdict.problem for verdict in reader.verify()}


async def test_a_running_journal_can_be_read_beside_its_writer(tmp_path: Path, journal: SqliteJournal) -> None:
    await fill(journal)
    with JournalReader.open(tmp_path) as reader:
        assert [record.kind for record in reader.list(account="main", limit=3)] == [
            RecordKind.INTENT,
            RecordKind.STAGE,
            RecordKind.STAGE,
        ]
        assert [record.body["text"] for record in reader.list(kind=RecordKind.RULE)] == [f"fired {n}" for n in range(4)]
        assert {record.account for record in reader.list(since_ms=0)} == {MAIN, HEDGE}
        assert len(reader.list(kind=RecordKind.INTENT, since_ms=at(20).wall_ms)) == 2


async def test_why_tells_an_intents_inputs_rule_and_outcome(tmp_path: Path, journal: SqliteJournal) -> None:
    await fill(journal)
    meant = intent(2, decided=at(20))
    with JournalReader.open(tmp_path) as reader:
        story = reader.why(meant.id)
        assert story is not None
        assert story.intent == meant
        assert [record.body.get("stage") for record in story.records] == [None, "sent", "verified"]
        assert [record.body["text"] for record in story.rules] == ["fired 0", "fired 1", "fired 2"]
        assert reader.why(meant.id[:12]) == story
        assert reader.why("gd1") is None
        assert reader.why("nonsense") is None


async def test_why_tells_a_refused_decision_and_an_episode(tmp_path: Path, journal: SqliteJournal) -> None:
    refused = stop()
    journal.note(moved(refused, Stage.REFUSED))
    journal.note_episode(episode(), ended=False, at=at())
    await journal.flush()
    with JournalReader.open(tmp_path) as reader:
        story, of_episode = reader.why(refused.id), reader.why("e1")
        assert story is not None
        assert story.intent == refused
        assert of_episode is not None
        assert of_episode.intent is None
        assert [record.kind for record in of_episode.records] == [RecordKind.EPISODE]


async def test_why_of_a_stop_tells_the_fill_of_the_order_that_it_gave_birth_to(
    tmp_path: Path, journal: SqliteJournal
) -> None:
    placed, other = stop(), intent(0)
    await journal.intend(placed)
    await journal.intend(other)
    journal.note(moved(placed, Stage.VERIFIED, 1, order_id="500"))
    journal.note(moved(other, Stage.VERIFIED, 1, order_id="77"))
    fired = Fill(
        key=key(),
        episode=placed.episode,
        order_id=OrderId("800"),
        client_id=None,
        plan_order_id=OrderId("500"),
        how="filled",
        size=Decimal(3),
        price=Decimal(90),
        entry_price=Decimal(100),
        realized_pnl=Decimal("-0.03"),
        currency="USDT",
    )
    journal.note_fill(fired, at(5))
    journal.note_fill(replace(fired, order_id=OrderId("77"), plan_order_id=None, client_id=other.id), at(6))
    await journal.flush()
    with JournalReader.open(tmp_path) as reader:
        told = {each: reader.why(each.id) for each in (placed, other)}
        assert [verdict.problem for verdict in reader.verify()] == [None]
    orders = [[fill.body["fill"]["order_id"] for fill in story.fills] for story in told.values() if story]  # type: ignore[index]
    assert orders == [["800"], ["77"]]


def test_where_no_journal_is_the_reader_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no journal there"):
        JournalReader.open(tmp_path)


async def test_the_reader_writes_nothing(tmp_path: Path, journal: SqliteJournal) -> None:
    with JournalReader.open(tmp_path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM record")


# The chain


async def test_I20_the_chain_of_each_account_verifies(tmp_path: Path, journal: SqliteJournal) -> None:
    await fill(journal)
    with JournalReader.open(tmp_path) as reader:
        assert reader.verify() == (
            ChainVerdict(account=HEDGE, records=1, pruned_before=0, problem=None),
            ChainVerdict(account=MAIN, records=17, pruned_before=0, problem=None),
        )


async def test_I20_the_chain_goes_on_after_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    for step in range(3):
        journal = SqliteJournal.open(tmp_path, now=clock.now, listen=lambda _: None)
        await journal.intend(intent(step))
        await journal.close()
    assert problems(tmp_path) == {MAIN: None}


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "UPDATE record SET text = replace(text, '1.50', '9.50') WHERE account = 'main' AND seq = 3",
            "record 3 was changed",
        ),
        ("UPDATE record SET hash = printf('%064d', 1) WHERE account = 'main' AND seq = 5", "record 5 was changed"),
        ("DELETE FROM record WHERE account = 'main' AND seq = 7", "record 7 is missing; 8 follows"),
        ("DELETE FROM record WHERE account = 'main' AND seq = 1", "record 1 is missing; 2 follows"),
        (
            "UPDATE record SET at_ms = at_ms + 1 WHERE account = 'main' AND seq = 4",
            "record 4: the column at_ms differs",
        ),
        ("UPDATE record SET kind = 'word' WHERE account = 'main' AND seq = 4", "record 4: the column kind differs"),
        ("UPDATE record SET subject = 'x' WHERE account = 'main' AND seq = 4", "record 4: the column subject differs"),
        (
            "UPDATE intent SET stage = 'journalled' WHERE account = 'main' AND step = 1",
            "the chain ends at verified, but journalled",
        ),
        (
            "UPDATE intent SET text = replace(text, '1.50', '9.50') WHERE account = 'main' AND step = 1",
            "differs from its record",
        ),
        (
            "DELETE FROM record WHERE account = 'main' AND seq = 17",
            "the chain ends at sent, but verified is remembered",
        ),
    ],
)
async def test_I20_whatever_was_altered_breaks_the_chain_of_that_account_alone(
    tmp_path: Path, journal: SqliteJournal, statement: str, told: str
) -> None:
    await fill(journal)
    alter(tmp_path, statement)
    found = problems(tmp_path)
    assert found[HEDGE] is None
    assert told in str(found[MAIN])


async def test_I20_a_rewritten_record_with_a_fitting_hash_breaks_at_the_next_one(
    tmp_path: Path, journal: SqliteJournal
) -> None:
    await fill(journal)
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    (before,) = connection.execute("SELECT hash FROM record WHERE account = 'main' AND seq = 2").fetchone()
    (text,) = connection.execute("SELECT text FROM record WHERE account = 'main' AND seq = 3").fetchone()
    connection.close()
    text = text.replace("1.50", "9.50")
    alter(tmp_path, "UPDATE record SET text = ?, hash = ? WHERE account = 'main' AND seq = 3", text, link(before, text))
    assert "record 4 was changed, or the one before it" in str(problems(tmp_path)[MAIN])


async def test_a_record_is_canonical_text(tmp_path: Path, journal: SqliteJournal) -> None:
    await fill(journal)
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    for (text,) in connection.execute("SELECT text FROM record"):
        assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    connection.close()


# Pruning


async def test_pruning_cuts_old_records_and_the_chain_still_verifies(
    tmp_path: Path, journal: SqliteJournal, clock: ManualClock
) -> None:
    await fill(journal)
    clock.pass_time(40 * DAY_S)
    await journal.intend(intent(50, decided=clock.now()))
    cut = await journal.prune(older_than_s=30 * DAY_S)
    assert cut == 17
    with JournalReader.open(tmp_path) as reader:
        verdicts = {verdict.account: verdict for verdict in reader.verify()}
    assert verdicts[MAIN] == ChainVerdict(account=MAIN, records=2, pruned_before=17, problem=None)
    assert verdicts[HEDGE].problem is None
    await journal.intend(intent(51, decided=clock.now()))
    assert await journal.prune(older_than_s=30 * DAY_S) == 0
    assert problems(tmp_path)[MAIN] is None


async def test_pruning_twice_keeps_a_chain_that_verifies(
    tmp_path: Path, journal: SqliteJournal, clock: ManualClock
) -> None:
    for step in range(6):
        await journal.intend(intent(step, decided=clock.now()))
        clock.pass_time(10 * DAY_S)
        await journal.prune(older_than_s=15 * DAY_S)
        assert problems(tmp_path) == {MAIN: None}
    with JournalReader.open(tmp_path) as reader:
        assert reader.verify()[0].pruned_before > 2


async def test_what_a_restart_needs_outlives_pruning(
    tmp_path: Path, journal: SqliteJournal, clock: ManualClock
) -> None:
    unfinished, resting, gone = intent(0), stop(0), intent(0, episode="e2")
    for meant in (unfinished, resting, gone):
        await journal.intend(meant)
    journal.note(moved(resting, Stage.VERIFIED, 1, order_id="500"))
    journal.note(moved(gone, Stage.VERIFIED, 1, order_id="600"))
    journal.note_episode(episode("e1"), ended=False, at=at(1))
    journal.note_episode(episode("e2"), ended=True, at=at(2))
    journal.note_word(MAIN, "halt", "", at(3))
    clock.pass_time(90 * DAY_S)
    await journal.intend(intent(9, decided=clock.now()))
    before = await journal.recall(MAIN)
    assert await journal.prune(older_than_s=DAY_S) > 0
    after = await journal.recall(MAIN)
    assert after.unfinished == before.unfinished
    assert after.episodes == (episode("e1"),)
    assert after.order_ids == {"500"}
    assert after.client_ids == {unfinished.id, resting.id, intent(9).id}
    assert [mark.rule for mark in after.rule_marks] == ["resting-protection"]
    assert after.halted


async def test_the_last_day_is_never_pruned(journal: SqliteJournal, clock: ManualClock) -> None:
    await fill(journal)
    clock.pass_time(DAY_S / 2)
    assert await journal.prune(older_than_s=0) == 0
    assert len((await journal.recall(MAIN)).recent) == 4


async def test_a_chain_that_was_cut_by_hand_is_found_out(tmp_path: Path, journal: SqliteJournal) -> None:
    await fill(journal)
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    with connection:
        (cut,) = connection.execute("SELECT hash FROM record WHERE account = 'main' AND seq = 4").fetchone()
        connection.execute("INSERT INTO anchor VALUES ('main', 4, ?)", (cut,))
        connection.execute("DELETE FROM record WHERE account = 'main' AND seq <= 4")
    connection.close()
    assert problems(tmp_path)[MAIN] == "the chain begins behind record 4, but no record tells that it was pruned there"


async def test_pruning_waits_its_turn_behind_what_was_noted(journal: SqliteJournal, clock: ManualClock) -> None:
    clock.pass_time(60 * DAY_S)
    results = await asyncio.gather(
        journal.intend(intent(0)), journal.intend(intent(1, decided=clock.now())), journal.prune(older_than_s=DAY_S)
    )
    assert results == [None, None, 1]


async def test_a_long_past_is_cut_in_pieces_so_that_an_intent_can_go_between(
    tmp_path: Path, journal: SqliteJournal, clock: ManualClock
) -> None:
    count = RECORDS_PER_CUT * 2 + 5
    for number in range(count):
        journal.note_word(MAIN, f"word {number}", "", at())
    clock.pass_time(60 * DAY_S)
    await journal.intend(intent(0, decided=clock.now()))
    assert await journal.prune(older_than_s=DAY_S) >= count
    with JournalReader.open(tmp_path) as reader:
        kinds = [record.kind for record in reader.list(limit=10)]
        assert [verdict.problem for verdict in reader.verify()] == [None]
    assert kinds == [RecordKind.INTENT, *[RecordKind.PRUNED] * 3]
