"""What a position's protection stands on comes back as it was, and a journal from before it was kept is read too."""

from decimal import Decimal
from pathlib import Path

from guardd.clock import ManualClock
from guardd.journal.canonical import decoded, encoded
from guardd.journal.memory import MemoryJournal
from guardd.journal.sqlite import SqliteJournal
from guardd.journal.worker import InlineWorker
from guardd.model.decision import OnUnprotected
from guardd.model.footing import NO_FOOTING, BestMark, FilledTranche, FixedMark, Footing, LatchedStop
from guardd.model.names import PriceType, RuleName
from guardd.model.order import ProtectionKind
from guardd.model.position import Episode
from tests.changed import replace
from tests.journal.making import MAIN, at, episode

FOOTING = Footing(
    fixed=(FixedMark(rule=RuleName("f"), kind=ProtectionKind.TAKE_PROFIT, mark=Decimal("89000.10")),),
    best=(BestMark(rule=RuleName("t"), mark=Decimal("92000")),),
    latched=(
        LatchedStop(
            rule=RuleName("s"),
            tranche=1,
            ladder=(Decimal("0.5"), Decimal("0.5")),
            place=1,
            trigger_price=Decimal("84600.0"),
            price_type=PriceType.MARK,
            on_unprotected=OnUnprotected.CLOSE,
            size=Decimal(50),
        ),
    ),
    filled=(FilledTranche(slot=RuleName("s/stop_loss/0"), size=Decimal(50), closed=Decimal(75)),),
)


async def test_the_footing_of_an_open_episode_comes_back_exactly(tmp_path: Path) -> None:
    clock = ManualClock()
    first = SqliteJournal.open(tmp_path, now=clock.now, listen=lambda fact: None, worker=InlineWorker())
    first.note_episode(replace(episode(), footing=FOOTING), ended=False, at=at(1))
    await first.close()
    again = SqliteJournal.open(tmp_path, now=clock.now, listen=lambda fact: None, worker=InlineWorker())
    [remembered] = (await again.recall(MAIN)).episodes
    assert remembered.footing == FOOTING
    await again.close()


async def test_a_journal_in_memory_keeps_it_too() -> None:
    journal = MemoryJournal()
    journal.note_episode(replace(episode(), footing=FOOTING), ended=False, at=at(1))
    [remembered] = (await journal.recall(MAIN)).episodes
    assert remembered.footing == FOOTING


def test_an_episode_that_was_written_before_has_none() -> None:
    old = encoded(episode())
    assert isinstance(old, dict)
    del old["footing"]
    assert decoded(Episode, old).footing == NO_FOOTING
