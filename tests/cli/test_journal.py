"""`guardd journal …` on a journal that was really written."""

import asyncio
import json
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest

from guardd.cli.exits import Exit
from guardd.clock import ManualClock
from guardd.journal.sqlite import FILE_NAME, SqliteJournal
from guardd.model.event import IntentMoved
from guardd.model.highwater import HighWater
from guardd.model.intent import Intent, Stage
from guardd.model.names import AccountName
from guardd.model.outcome import Accepted
from tests.cli.stage import Desktop, flat
from tests.journal.making import intent


async def written(data_dir: Path) -> Intent:
    """One decision from its intent to its fill, and a word."""
    clock = ManualClock()
    journal = SqliteJournal.open(data_dir, now=clock.now, listen=lambda fact: None)
    meant = intent()
    await journal.intend(meant)
    journal.note(IntentMoved(at=clock.now(), intent=meant, stage=Stage.SENT))
    accepted = Accepted(order_id=None, sent_ns=1)
    journal.note(IntentMoved(at=clock.now(), intent=meant, stage=Stage.ACCEPTED, outcome=accepted))
    journal.note(IntentMoved(at=clock.now(), intent=meant, stage=Stage.VERIFIED, detail="filled as meant"))
    journal.note_word(AccountName(meant.account), "halt", "for lunch", clock.now())
    for high in (None, Decimal("1042.11")):
        water = HighWater(currency="USDT", day=20_000, high=high, wallets=(("USDT", Decimal(1000)),), settled_ms=0)
        journal.note_high_water(AccountName(meant.account), water, clock.now())
    await journal.close()
    return meant


@pytest.fixture
def meant(alone: Desktop) -> Intent:
    return asyncio.run(written(alone.place / "data"))


def test_records_are_listed_oldest_first_with_their_words(alone: Desktop, meant: Intent) -> None:
    result = alone.run("journal", "list")
    shown = flat(result.stdout)
    assert result.exit_code == Exit.DONE
    assert shown.index(f"{meant.action} by {meant.rule}") < shown.index("filled as meant") < shown.index("for lunch")
    assert "the day's high of USDT is not known yet" in shown
    assert "the day's high of USDT is 1042.11" in shown
    only = json.loads(alone.run("journal", "list", "--kind", "word", "--json").stdout)
    assert [record["subject"] for record in only] == ["halt"]
    assert only[0]["at"].endswith("Z")


def test_why_tells_the_rule_the_inputs_and_the_outcome_by_a_beginning_of_the_id(alone: Desktop, meant: Intent) -> None:
    result = alone.run("journal", "why", meant.id[:8])
    shown = flat(result.stdout)
    assert result.exit_code == Exit.DONE
    assert f"rule {meant.rule}" in shown
    assert f"because {meant.reason}" in shown
    assert "verified, filled as meant" in shown
    for name, value in meant.inputs:
        assert f"{name} {value}" in shown
    document = json.loads(alone.run("journal", "why", meant.id, "--json").stdout)
    assert document["inputs"] == dict(meant.inputs)
    assert [record["kind"] for record in document["records"]] == ["intent", "stage", "stage", "stage"]


def test_an_id_that_nobody_knows_is_an_error(alone: Desktop, meant: Intent) -> None:
    result = alone.run("journal", "why", "nobody")
    assert result.exit_code == Exit.FAILED
    assert "guardd journal list" in result.stderr


def test_a_chain_that_was_tampered_with_ends_with_1(alone: Desktop, meant: Intent) -> None:
    assert alone.run("journal", "verify").exit_code == Exit.DONE
    with sqlite3.connect(alone.place / "data" / FILE_NAME) as connection:
        connection.execute("UPDATE record SET text = replace(text, 'for lunch', 'for good')")
    connection.close()
    result = alone.run("journal", "verify", "--json")
    (verdict,) = json.loads(result.stdout)
    assert result.exit_code == Exit.FAILED
    assert verdict["holds"] is False
    assert "was changed" in verdict["problem"]


def test_a_journal_that_isn_t_there_is_told(alone: Desktop) -> None:
    result = alone.run("journal", "list")
    assert result.exit_code == Exit.FAILED
    assert "no journal there; expected the data_dir of a guardd that has run" in result.stderr


def test_it_is_read_while_another_process_writes(alone: Desktop, meant: Intent) -> None:
    async def beside() -> int:
        clock = ManualClock()
        journal = SqliteJournal.open(alone.place / "data", now=clock.now, listen=lambda fact: None)
        try:
            return await asyncio.to_thread(lambda: alone.run("journal", "list").exit_code)
        finally:
            await journal.close()

    assert asyncio.run(beside()) == Exit.DONE
