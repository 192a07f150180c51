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
from guardd.model.fill import Fill
from guardd.model.highwater import HighWater
from guardd.model.intent import Intent, Stage
from guardd.model.names import AccountName, OrderId, RuleName
from guardd.model.outcome import Accepted
from tests.changed import replace
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


async def told_in_full(data_dir: Path) -> Intent:
    """A close with everything that a story may hold, and a fill of somebody else's whose entry nobody knew."""
    clock = ManualClock()
    journal = SqliteJournal.open(data_dir, now=clock.now, listen=lambda fact: None)
    start = clock.now()
    inputs = (
        *(("age_s_account", "never"), ("age_s_mark", "0.120"), ("age_s_position", "1.500")),
        *(("distance_to_liquidation", "0.05"), ("mark", "88000")),
    )
    meant = replace(intent(decided=start), inputs=inputs, frame_ns=1_000_000)
    account = AccountName(meant.account)
    journal.note_word(account, "confirm", "policy 0123456789abcdef", start)
    journal.note_rule(meant.key, meant.episode, RuleName("add_margin"), "refused: top_up_per_day is used up", start)
    await journal.intend(meant)
    accepted = Accepted(order_id=OrderId("900"), sent_ns=3_500_000)
    at = start.later_by(0.25)
    journal.note(IntentMoved(at=at, intent=meant, stage=Stage.ACCEPTED, outcome=accepted))
    filled = Decimal("1.5")
    journal.note(IntentMoved(at=start.later_by(0.9), intent=meant, stage=Stage.VERIFIED, filled=filled))
    fill = Fill(
        key=meant.key,
        episode=meant.episode,
        order_id=OrderId("900"),
        client_id=None,
        plan_order_id=None,
        how="filled",
        size=filled,
        price=Decimal("88485.9"),
        entry_price=Decimal("88494.1"),
        realized_pnl=Decimal("-12.34"),
        currency="USDT",
    )
    journal.note_fill(fill, start.later_by(0.9))
    others = replace(
        fill, order_id=OrderId("901"), size=Decimal(3), price=Decimal(88000), entry_price=None, realized_pnl=None
    )
    journal.note_fill(others, start.later_by(2))
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
    assert "verified filled as meant" in shown
    for name, value in meant.inputs:
        assert f"{name} {value}" in shown
    document = json.loads(alone.run("journal", "why", meant.id, "--json").stdout)
    assert document["inputs"] == dict(meant.inputs)
    assert [record["kind"] for record in document["records"]] == ["intent", "stage", "stage", "stage"]


def test_why_tells_ages_refusals_the_course_and_what_was_realised(alone: Desktop) -> None:
    meant = asyncio.run(told_in_full(alone.place / "data"))
    shown = flat(alone.run("journal", "why", meant.id).stdout)
    assert "request: close 1.50 contracts at market, reduce-only" in shown
    assert "armed with policy 0123456789ab" in shown
    assert "mark 88000 0.120 s" in shown
    assert "distance_to_liquidation 0.05 1.500 s" in shown
    assert "add_margin: refused: top_up_per_day is used up" in shown
    assert "+250 ms accepted order_id 900" in shown
    assert "from the price frame to the order's last byte: 2.50 ms" in shown
    assert "900 filled 1.5 88485.9 -12.34 USDT" in shown
    assert "realised PnL, before fees and funding: -12.34 USDT" in shown
    document = json.loads(alone.run("journal", "why", meant.id, "--json").stdout)
    assert document["input_ages_s"] == {"distance_to_liquidation": "1.500", "mark": "0.120"}
    assert [each["body"]["text"] for each in document["alternatives_refused"]] == ["refused: top_up_per_day is used up"]
    assert [(step["stage"], step["after_ms"]) for step in document["course"]] == [("accepted", 250), ("verified", 900)]
    assert (document["outcome"], document["realized_pnl"], document["currency"]) == ("verified", "-12.34", "USDT")
    assert document["policy"] == "0123456789abcdef"


def test_why_of_an_episode_sums_what_it_realised(alone: Desktop) -> None:
    meant = asyncio.run(told_in_full(alone.place / "data"))
    shown = flat(alone.run("journal", "why", meant.episode).stdout)
    assert "realised PnL, before fees and funding: not known" in shown
    assert "filled 3 at 88000 (order 901)" in shown
    document = json.loads(alone.run("journal", "why", meant.episode, "--json").stdout)
    assert (document["realized_pnl"], len(document["fills"])) == (None, 2)


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
