"""One bad price never closes a position (I28)."""

from decimal import Decimal

import pytest

from guardd.model.event import MarkSeen, Source
from guardd.model.instant import Instant
from guardd.policy.confirm import Confirmation, Verdict
from tests.model.accounts import BTC, D, later

TRIGGER = D(85000)


def past(price: Decimal) -> bool:
    return price <= TRIGGER


def frame(mark: str, at: float = 0, **others: str) -> MarkSeen:
    return MarkSeen(BTC, D(mark), later(at), **{name: D(price) for name, price in others.items()})


def verdicts(*frames: MarkSeen, at: Instant | None = None) -> list[Verdict]:
    """What is said of each frame that is past the trigger, as they come."""
    confirmation, found = Confirmation(), []
    for each in frames:
        confirmation.seen(each)
        if past(each.mark):
            found.append(confirmation.verdict(each, past, at or each.at))
        else:
            confirmation.settle(BTC)
    return found


@pytest.mark.parametrize(
    ("prices", "verdict"),
    [
        ({"index": "85000", "last": "84999"}, Verdict.CONFIRMED),
        ({"index": "85000", "last": "85001"}, Verdict.ASK_REST),
        ({"index": "85000", "bid": "84950", "ask": "85040"}, Verdict.CONFIRMED),
        ({"index": "85000", "bid": "84950", "ask": "85060"}, Verdict.ASK_REST),
        ({"index": "85000", "last": "85001", "bid": "84000", "ask": "84001"}, Verdict.CONFIRMED),
        ({"index": "87500", "last": "84000"}, Verdict.CONFIRMED),
        ({"index": "87700", "last": "84000"}, Verdict.ASK_REST),
        ({"last": "84000"}, Verdict.ASK_REST),
        ({"index": "0", "last": "84000"}, Verdict.ASK_REST),
        ({"index": "85000", "bid": "0", "ask": "84000"}, Verdict.ASK_REST),
        ({}, Verdict.ASK_REST),
    ],
)
def test_I28_a_frame_confirms_itself_near_its_own_index_by_last_or_mid(
    prices: dict[str, str], verdict: Verdict
) -> None:
    assert verdicts(frame("84950", **prices)) == [verdict]


def test_I28_the_very_next_frame_confirms_if_it_is_past_the_trigger_too() -> None:
    assert verdicts(frame("86000"), frame("84900", 1), frame("84950", 2)) == [Verdict.ASK_REST, Verdict.CONFIRMED]


def test_I28_two_bad_frames_with_a_good_one_between_confirm_nothing() -> None:
    found = verdicts(frame("86000"), frame("84900", 1), frame("86000", 2), frame("84900", 3))
    assert found == [Verdict.ASK_REST, Verdict.ASK_REST]


def test_I28_the_same_frame_seen_twice_is_one_frame() -> None:
    same = frame("84900", 1)
    assert verdicts(frame("86000"), same, same) == [Verdict.ASK_REST, Verdict.WAIT]


def test_I28_a_frame_that_is_delivered_twice_is_no_witness_of_itself() -> None:
    bad = {"index": "90000", "last": "90000"}
    told = verdicts(frame("90000"), frame("79000", 1, **bad), frame("79000", 1.02, **bad), frame("79001", 1.1, **bad))
    assert told == [Verdict.ASK_REST, Verdict.WAIT, Verdict.CONFIRMED]


def test_I28_one_mark_read_by_rest_confirms() -> None:
    confirmation = Confirmation()
    bad = frame("84900", 1)
    confirmation.seen(frame("86000"))
    assert confirmation.verdict(bad, past, later(1)) is Verdict.ASK_REST
    rest = MarkSeen(BTC, D("84950"), later(1.2), source=Source.REST)
    assert confirmation.verdict(bad, past, later(1.2), rest) is Verdict.CONFIRMED


def test_I28_a_rest_mark_from_before_the_doubt_confirms_nothing() -> None:
    rest = MarkSeen(BTC, D("84950"), later(0.5), source=Source.REST)
    confirmation = Confirmation()
    assert confirmation.verdict(frame("84900", 1), past, later(1), rest) is Verdict.ASK_REST


def test_I28_a_mark_that_came_by_rest_itself_is_not_its_own_witness() -> None:
    rest = MarkSeen(BTC, D("84950"), later(1), source=Source.REST)
    confirmation = Confirmation()
    assert confirmation.verdict(rest, past, later(1), rest) is Verdict.ASK_REST
    again = MarkSeen(BTC, D("84940"), later(2), source=Source.REST)
    assert confirmation.verdict(again, past, later(2), again) is Verdict.CONFIRMED


def test_one_rest_mark_is_asked_for_each_half_second_and_a_second_is_told_once() -> None:
    confirmation, bad = Confirmation(), frame("84900")
    said = [confirmation.verdict(bad, past, later(at)) for at in (0, 0.4, 0.5, 0.9, 1.0, 1.1, 1.5, 2.5)]
    assert said == [
        Verdict.ASK_REST,
        Verdict.WAIT,
        Verdict.ASK_REST,
        Verdict.WAIT,
        Verdict.UNCONFIRMED,
        Verdict.ASK_REST,
        Verdict.WAIT,
        Verdict.ASK_REST,
    ]


def test_waiting_ends_when_the_mark_came_back() -> None:
    confirmation = Confirmation()
    confirmation.verdict(frame("84900"), past, later(0))
    assert confirmation.waiting(BTC)
    confirmation.settle(BTC)
    assert not confirmation.waiting(BTC)


def test_an_overtaken_frame_is_not_the_next_one() -> None:
    confirmation = Confirmation()
    confirmation.seen(frame("86000", 2))
    confirmation.seen(frame("84000", 1))
    assert confirmation.verdict(frame("84900", 3), past, later(3)) is Verdict.ASK_REST


def test_what_is_forgotten_is_not_waited_for() -> None:
    confirmation = Confirmation()
    confirmation.verdict(frame("84900"), past, later(0))
    confirmation.forget(frozenset())
    assert not confirmation.waiting(BTC)
