"""What is believed about positions: flat only when confirmed (I06), the newest by the venue's own time."""

from decimal import Decimal

import pytest

from guardd.model.account import Wallet
from guardd.model.event import (
    BalancePushed,
    BalanceRead,
    MarkSeen,
    OrderPushed,
    OrdersRead,
    PositionModeRead,
    PositionsPushed,
    PositionsRead,
    Source,
)
from guardd.model.fold import fold
from guardd.model.instant import Instant
from guardd.model.intent import Stage
from guardd.model.names import ClientId, MarginMode, OrderId, PositionMode, RuleName, Side
from guardd.model.order import OrderAction, OrderUpdate, RestingKind, RestingOrder
from guardd.model.position import Position, PositionUpdate
from guardd.model.reading import Absent, Reading
from guardd.model.state import AccountState, Folded, News, NewsKind, RuleProgress
from tests.changed import replace
from tests.model.accounts import BTC, ETH, OPENED_MS, START, D, account, balance, key, later, row, stop
from tests.model.intents import close_intent, moved_to


def read(state: AccountState, at: Instant, *rows: Position, took_s: float = 0.1) -> tuple[News, ...]:
    return fold(state, PositionsRead(started=at, at=at.later_by(took_s), positions=rows)).news


def used(state: AccountState, at: Instant, margin: str) -> None:
    (before,) = state.balances.values()
    fold(state, BalanceRead(at=at, balances=(replace(before, position_margin=D(margin)),)))


def push(
    state: AccountState,
    at: Instant,
    quantity: str,
    *,
    venue_ms: int | None = None,
    liquidation: Reading = Absent.UNKNOWN,
    opened_ms: int | None = OPENED_MS,
) -> Folded:
    update = PositionUpdate(
        key=key(),
        quantity=D(quantity),
        entry_price=D(90000),
        margin_mode=MarginMode.ISOLATED,
        liquidation_price=liquidation,
        frozen_quantity=D(5),
        closed_quantity=D(0),
        opened_ms=opened_ms,
        venue_ms=at.wall_ms if venue_ms is None else venue_ms,
    )
    return fold(state, PositionsPushed(at=at, updates=(update,)))


def kinds(news: tuple[News, ...]) -> list[NewsKind]:
    return [each.kind for each in news]


def newer(at: Instant, quantity: str = "100", opened_ms: int = OPENED_MS) -> Position:
    return row(quantity=quantity, venue_ms=at.wall_ms, opened_ms=opened_ms)


# Flat


def test_I06_one_read_that_lost_a_position_does_not_make_it_flat() -> None:
    state = account(row())
    assert kinds(read(state, later(1))) == [NewsKind.READ_WANTED]
    assert key() in state.held


def test_I06_two_reads_two_seconds_apart_make_it_flat_once_its_margin_is_free() -> None:
    state = account(row())
    read(state, later(1))
    used(state, later(2), "0")
    assert kinds(read(state, later(2.9))) == [NewsKind.READ_WANTED]
    assert kinds(read(state, later(3))) == [NewsKind.EPISODE_ENDED]
    assert state.held == {}


def test_I06_a_read_between_shows_it_again_and_the_count_starts_anew() -> None:
    state = account(row())
    used(state, later(1), "0")
    read(state, later(1))
    read(state, later(2), newer(later(2)))
    assert state.held[key()].missing_reads == 0
    used(state, later(4), "0")
    assert kinds(read(state, later(4))) == [NewsKind.READ_WANTED]
    assert key() in state.held


def test_a_push_of_what_was_opened_later_begins_its_life_while_reads_fail() -> None:
    """Its stop closed it whole, an entry opened anew in the same instant: the new one is protected and judged as what it is."""
    state = account(row())
    push(state, later(1), "100")
    was_read = state.held[key()].read
    folded = push(state, later(2), "30", opened_ms=later(2).wall_ms)
    assert kinds(folded.news) == [NewsKind.EPISODE_ENDED, NewsKind.EPISODE_BEGAN, NewsKind.READ_WANTED]
    held = state.held[key()]
    assert held.episode.id.endswith(str(later(2).wall_ms))
    assert (held.position.quantity, held.read, held.close_seen) == (D(30), was_read, None)
    assert kinds(push(state, later(3), "40", opened_ms=later(2).wall_ms).news)[0] is NewsKind.READ_WANTED
    read(state, later(4), newer(later(4), "40", opened_ms=later(2).wall_ms))
    assert state.held[key()].episode.id == held.episode.id


def test_a_push_after_one_that_told_the_end_is_of_another_life() -> None:
    state = account(row())
    push(state, later(1), "0", opened_ms=None)
    push(state, later(2), "30", opened_ms=later(2).wall_ms)
    assert state.held[key()].episode.id.endswith(str(later(2).wall_ms))


def test_a_push_whose_opening_no_push_can_be_compared_with_changes_the_quantity_alone() -> None:
    """A venue may mean another moment by it in its pushes than in its reads."""
    state = account(row())
    before = state.held[key()].episode.id
    push(state, later(1), "30", opened_ms=OPENED_MS + 7)
    push(state, later(2), "20", opened_ms=OPENED_MS + 7)
    push(state, later(3), "10", opened_ms=None)
    assert state.held[key()].episode.id == before
    assert state.held[key()].position.opened_ms == OPENED_MS


def test_a_late_push_of_the_life_before_changes_nothing() -> None:
    state = account(row())
    push(state, later(1), "100")
    push(state, later(2), "30", opened_ms=later(2).wall_ms)
    push(state, later(3), "100", venue_ms=later(1).wall_ms)
    assert state.held[key()].position.quantity == D(30)


def test_I06_a_position_whose_margin_is_still_in_use_is_suspect() -> None:
    state = account(row())
    read(state, later(1))
    used(state, later(2), "900")
    assert kinds(read(state, later(4))) == [NewsKind.POSITION_SUSPECT]
    assert key() in state.held


def test_I06_a_margin_read_before_it_went_missing_says_nothing_yet() -> None:
    state = account(row())
    read(state, later(1))
    assert kinds(read(state, later(4))) == [NewsKind.READ_WANTED]
    used(state, later(4.5), "0")
    assert kinds(read(state, later(5))) == [NewsKind.EPISODE_ENDED]


def test_I06_the_margin_of_other_positions_is_not_taken_for_its_own() -> None:
    other = row(symbol=ETH, quantity="1000", entry="3000", mark="2900")
    state = account(row(), other)
    read(state, later(1), replace(other, venue_ms=later(1).wall_ms))
    used(state, later(2), "300")
    news = read(state, later(4), replace(other, venue_ms=later(4).wall_ms))
    assert kinds(news) == [NewsKind.EPISODE_ENDED]


@pytest.mark.parametrize(("share", "suspect"), [("0", False), ("1", True)])
def test_I06_the_margins_of_others_count_as_of_the_balance(share: str, suspect: bool) -> None:
    """A venue that reckons cross margins by the mark: 2900 when the rows were read, 3300 when the balance was."""
    other = row(symbol=ETH, quantity="10000", entry="3000", mark="2900", mode=MarginMode.CROSS, margin=D(2900))
    lost = row(mode=MarginMode.CROSS, margin=D(500))
    state = account(lost, other)
    read(state, later(1), replace(other, venue_ms=later(1).wall_ms))
    fold(state, MarkSeen(ETH, D(3300), later(1.5)))
    used(state, later(2), str(D(3300) + D(share) * D(500)))
    fold(state, MarkSeen(ETH, D(2900), later(3)))
    news = read(state, later(4), replace(other, venue_ms=later(4).wall_ms))
    assert kinds(news) == [NewsKind.POSITION_SUSPECT if suspect else NewsKind.EPISODE_ENDED]


def test_I06_a_position_that_shrank_after_the_balance_was_read_leaves_the_margin_unknown() -> None:
    other = row(symbol=ETH, quantity="10000", entry="3000", mark="2900")
    state = account(row(), other)
    read(state, later(1), replace(other, venue_ms=later(1).wall_ms))
    used(state, later(2), "3000")
    cut = row(symbol=ETH, quantity="1000", entry="3000", mark="2900", venue_ms=later(3).wall_ms)
    assert kinds(read(state, later(3), cut)) == [NewsKind.EPISODE_ENDED]


def test_I06_a_margin_that_nobody_knows_is_not_taken_for_the_lost_ones() -> None:
    other = row(symbol=ETH, quantity="1000", entry="3000", mark="2900", margin=Absent.UNKNOWN)
    state = account(row(), other)
    read(state, later(1), replace(other, venue_ms=later(1).wall_ms))
    used(state, later(2), "900")
    assert kinds(read(state, later(4), replace(other, venue_ms=later(4).wall_ms))) == [NewsKind.EPISODE_ENDED]


@pytest.mark.parametrize(
    ("lost_mode", "waits_to_open", "suspect"),
    [
        (MarginMode.CROSS, False, True),
        (MarginMode.CROSS, True, False),
        (MarginMode.ISOLATED, False, False),
    ],
)
def test_I06_a_pools_margin_is_that_of_cross_positions_and_of_orders_that_wait_to_open(
    lost_mode: MarginMode, waits_to_open: bool, suspect: bool
) -> None:
    isolated = row(symbol=ETH, quantity="1000", entry="3000", mark="2900", margin=D(5000))
    state = account(row(mode=lost_mode, margin=D(900)), isolated)
    (known,) = state.balances.values()
    state.balances = {"USD": replace(known, currency="USD", pooled=True)}
    if waits_to_open:
        order = RestingOrder(
            order_id=OrderId("9"), client_id=None, key=key(), closes=False, kind=RestingKind.LIMIT,
            price=D(80000), size=D(100), filled=D(0), created_ms=1,
        )  # fmt: skip
        fold(state, OrdersRead(started=START, at=START, resting=(order,), plans=None))
    read(state, later(1), replace(isolated, venue_ms=later(1).wall_ms))
    used(state, later(2), "900")
    news = read(state, later(4), replace(isolated, venue_ms=later(4).wall_ms))
    assert kinds(news) == [NewsKind.POSITION_SUSPECT if suspect else NewsKind.EPISODE_ENDED]


@pytest.mark.parametrize(
    ("paid", "price", "kind"),
    [
        ("0", "1", NewsKind.POSITION_SUSPECT),
        ("0", "1.01", NewsKind.POSITION_SUSPECT),
        ("0.54", "1", NewsKind.EPISODE_ENDED),
    ],
)
def test_I06_an_isolated_position_of_a_pool_is_suspect_while_no_fee_of_its_close_was_paid(
    paid: str, price: str, kind: NewsKind
) -> None:
    """Nothing that such an account shows tells of isolated margin in use; what its coins amount to does (a price may move)."""
    state = account(row(mode=MarginMode.ISOLATED))
    (known,) = state.balances.values()

    def told(at: Instant, amount: Decimal, price: str) -> None:
        pool = replace(
            known, currency="USD", pooled=True, wallets=(Wallet(coin="USDT", amount=amount, price=D(price)),)
        )
        state.balances = {}
        fold(state, BalanceRead(at=at, balances=(pool,)))

    told(later(1), D(2000), "1")
    read(state, later(2), row(mode=MarginMode.ISOLATED, venue_ms=later(2).wall_ms))
    read(state, later(3))
    told(later(4), D(2000) - D(paid), price)
    assert kinds(read(state, later(6))) == [kind]
    read(state, later(12))
    assert kinds(read(state, later(14))) == ([NewsKind.EPISODE_ENDED] if paid == "0" else [])


def test_I08_a_position_that_reads_alone_ended_and_one_shows_again_is_the_same_life() -> None:
    state = account(row())
    push(state, later(0.5), "100")
    first = state.held[key()].begun
    state.progress[state.held[key()].episode.id, RuleName("trim")] = RuleProgress(steps=1)
    read(state, later(1))
    used(state, later(2), "0")
    assert kinds(read(state, later(4))) == [NewsKind.EPISODE_ENDED]
    assert kinds(read(state, later(5), newer(later(5), "40"))) == [NewsKind.EPISODE_BEGAN]
    held = state.held[key()]
    assert (held.begun, held.position.quantity, held.episode.largest_quantity) == (first, D(40), D(100))
    assert [progress.steps for progress in state.progress.values()] == [1]
    assert state.pushed_quantities[key()].quantity == D(100)


def test_a_position_that_a_push_closed_or_that_was_opened_anew_is_another_life() -> None:
    state = account(row())
    state.progress[state.held[key()].episode.id, RuleName("trim")] = RuleProgress(steps=1)
    push(state, later(1), "0")
    assert kinds(read(state, later(2))) == [NewsKind.EPISODE_ENDED]
    assert not state.lost
    assert not state.progress
    read(state, later(3), newer(later(3), opened_ms=OPENED_MS + 5))
    assert state.held[key()].begun == later(3.1)


def test_what_a_lost_position_left_behind_is_forgotten_in_the_end() -> None:
    state = account(row())
    state.progress[state.held[key()].episode.id, RuleName("trim")] = RuleProgress(steps=1)
    for began, at in ((0, 1), (700, 800)):
        read(state, later(began), newer(later(began), opened_ms=OPENED_MS + began))
        read(state, later(at))
        used(state, later(at + 1), "0")
        read(state, later(at + 3))
    assert [lost.at for lost in state.lost.values()] == [later(700.1)]
    assert not state.progress


def test_I06_a_strangers_order_on_it_makes_it_suspect_but_not_for_ever() -> None:
    state = account(row())
    fold(state, OrdersRead(started=START, at=START, resting=None, plans=(stop("85000"),)))
    read(state, later(1))
    used(state, later(2), "0")
    assert kinds(read(state, later(4))) == [NewsKind.POSITION_SUSPECT]
    assert kinds(read(state, later(10.9))) == [NewsKind.POSITION_SUSPECT]
    assert kinds(read(state, later(11))) == [NewsKind.EPISODE_ENDED]


def test_I06_our_own_stop_left_over_does_not_make_it_suspect() -> None:
    state = account(row())
    fold(state, OrdersRead(started=START, at=START, resting=None, plans=(stop("85000"),)))
    state.own_order_ids.add(OrderId("1"))
    used(state, later(1), "0")
    read(state, later(1))
    assert kinds(read(state, later(4))) == [NewsKind.EPISODE_ENDED]


def test_I06_a_push_that_says_it_is_gone_and_one_read_after_it_make_it_flat() -> None:
    state = account(row())
    assert kinds(push(state, later(1), "0").news) == [NewsKind.READ_WANTED]
    assert key() in state.held
    assert kinds(read(state, later(1.1))) == [NewsKind.EPISODE_ENDED]


def test_I06_a_read_that_was_asked_for_before_that_push_does_not_confirm_it() -> None:
    state = account(row())
    push(state, later(1), "0")
    assert kinds(read(state, later(0.9), took_s=0.5)) == [NewsKind.READ_WANTED]
    assert key() in state.held


def test_I06_a_push_that_shows_it_alive_ends_the_doubt() -> None:
    state = account(row())
    push(state, later(1), "0")
    push(state, later(2), "100")
    assert kinds(read(state, later(3))) == [NewsKind.READ_WANTED]
    push(state, later(3.5), "100")
    used(state, later(4), "0")
    assert kinds(read(state, later(6))) == [NewsKind.READ_WANTED]
    assert key() in state.held


@pytest.mark.parametrize(("filled", "expected"), [("100", NewsKind.EPISODE_ENDED), ("99", NewsKind.READ_WANTED)])
def test_I06_our_own_fill_of_all_of_it_and_one_read_make_it_flat(filled: str, expected: NewsKind) -> None:
    state = account(row())
    intent = close_intent(state)
    for stage in (Stage.DECIDED, Stage.JOURNALLED, Stage.SENT):
        moved_to(state, intent, stage)
    fold(state, OrderPushed(at=later(1), update=order_update(client_id=intent.id, filled=D(filled))))
    assert kinds(read(state, later(1.1))) == [expected]


def test_a_change_of_sign_in_one_way_mode_ends_the_episode_and_begins_another() -> None:
    state = account(row())
    fold(state, PositionModeRead(at=START, mode=PositionMode.ONE_WAY))
    news = read(state, later(1), row(Side.SHORT, opened_ms=later(1).wall_ms))
    assert kinds(news) == [NewsKind.EPISODE_BEGAN, NewsKind.EPISODE_ENDED]
    assert set(state.held) == {key(Side.SHORT)}


def test_in_hedge_mode_the_other_leg_says_nothing_about_this_one() -> None:
    state = account(row())
    fold(state, PositionModeRead(at=START, mode=PositionMode.HEDGE))
    read(state, later(1), row(Side.SHORT, opened_ms=later(1).wall_ms))
    assert set(state.held) == {key(Side.LONG), key(Side.SHORT)}


def test_an_end_forgets_the_steps_of_its_rules_and_the_streams_quantity() -> None:
    state = account(row())
    moved_to(state, close_intent(state), Stage.REFUSED)
    push(state, later(1), "0")
    read(state, later(1.1))
    assert state.progress == {}
    assert state.pushed_quantities == {}


# Episodes


def test_an_episode_is_named_by_the_venues_open_time_and_begins_once() -> None:
    state = account()
    assert kinds(read(state, later(1), newer(later(1)))) == [NewsKind.EPISODE_BEGAN]
    first = state.held[key()].episode
    assert first.id == f"BTCUSDT-long-{OPENED_MS}"
    assert read(state, later(2), newer(later(2))) == ()
    assert state.held[key()].episode == first


def test_a_position_without_an_open_time_is_named_by_first_sight_and_stays_one() -> None:
    state = account()
    read(state, later(1), row(opened_ms=None))
    seen = later(1.1).wall_ms
    assert state.held[key()].episode.id == f"BTCUSDT-long-{seen}"
    assert read(state, later(2), row(opened_ms=None, venue_ms=later(2).wall_ms)) == ()


def test_another_open_time_is_another_life() -> None:
    state = account(row())
    news = read(state, later(1), newer(later(1), opened_ms=OPENED_MS + 1))
    assert kinds(news) == [NewsKind.EPISODE_ENDED, NewsKind.EPISODE_BEGAN]


@pytest.mark.parametrize(
    ("quantity", "sooner_ms", "kept"),
    [("7", 0, True), ("100", 0, False), ("7", 500, False)],
    ids=["of the new life", "another quantity", "from before it"],
)
def test_I29_a_push_that_the_new_life_had_before_a_read_showed_it_is_its_own(
    quantity: str, sooner_ms: int, kept: bool
) -> None:
    """A stream that tells changes only says it once: without it a close would wait for fifteen seconds."""
    state = account(row())
    opened_ms = later(1).wall_ms
    push(state, later(1), quantity, venue_ms=opened_ms - sooner_ms)
    read(state, later(1.1), newer(later(1.1), "7", opened_ms=opened_ms))
    assert (key() in state.pushed_quantities) is kept


def test_the_largest_quantity_of_a_life_grows_and_never_shrinks() -> None:
    state = account(row())
    assert kinds(read(state, later(1), newer(later(1), "150"))) == [NewsKind.EPISODE_CHANGED]
    assert read(state, later(2), newer(later(2), "60")) == ()
    assert state.held[key()].episode.largest_quantity == 150
    assert state.held[key()].changed == later(2.1)


# Age


def test_a_read_older_than_what_is_held_is_not_believed() -> None:
    state = account(row())
    push(state, later(2), "60")
    assert kinds(read(state, later(1), newer(later(1)))) == [NewsKind.READ_WANTED]
    assert state.held[key()].position.quantity == 60


def test_a_push_older_than_what_is_held_is_not_believed() -> None:
    state = account(newer(later(2)))
    push(state, later(3), "60", venue_ms=later(1).wall_ms)
    assert state.held[key()].position.quantity == 100


def test_a_push_with_a_new_quantity_takes_away_the_figures_of_the_old_one() -> None:
    state = account(row(venue_liquidation=D(81000)))
    folded = push(state, later(1), "60", liquidation=D(80000))
    position = state.held[key()].position
    assert (position.quantity, position.liquidation_price) == (D(60), D(80000))
    absent = {position.margin, position.maintenance_margin, position.notional, position.unrealized_pnl}
    assert absent == {Absent.UNKNOWN}
    assert folded.symbols == {BTC}
    assert kinds(folded.news) == [NewsKind.READ_WANTED]


def test_a_push_about_an_unknown_position_asks_for_a_read_and_begins_nothing() -> None:
    state = account()
    assert kinds(push(state, later(1), "60").news) == [NewsKind.READ_WANTED]
    assert state.held == {}


def test_I19_figures_that_are_missing_stay_missing_and_no_zero_takes_their_place() -> None:
    state = account(row())
    push(state, later(1), "60")
    assert not isinstance(state.held[key()].position.margin, Decimal)


# Marks


def test_positions_read_by_rest_carry_the_mark_only_while_the_stream_is_silent() -> None:
    state = account(row())
    fold(state, MarkSeen(BTC, D(88000), later(1)))
    read(state, later(2), newer(later(2)))
    assert state.marks[BTC].mark == D(88000)
    assert state.rest_marks[BTC].mark == D(89000)
    read(state, later(5), newer(later(5)))
    assert state.marks[BTC].mark == D(89000)
    assert state.marks[BTC].source is Source.REST
    read(state, later(6), replace(newer(later(6)), mark_price=D(87000)))
    assert state.marks[BTC].mark == D(87000), "until the stream speaks again, each read brings the newest there is (I9)"


def order_update(*, client_id: ClientId, filled: Decimal) -> OrderUpdate:
    return OrderUpdate(
        order_id=OrderId("77"),
        client_id=client_id,
        plan_order_id=None,
        key=key(),
        closes=True,
        action=OrderAction.FILLED,
        live=False,
        kind=RestingKind.MARKET,
        price=None,
        size=D(100),
        filled=filled,
        average_price=D(88000),
        venue_ms=later(1).wall_ms,
    )


def test_a_balance_that_is_pushed_keeps_the_equity_that_was_read() -> None:
    state = account(row())
    (before,) = state.balances.values()
    pushed = replace(balance(row()), equity=Absent.UNKNOWN, available=D(5))
    fold(state, BalancePushed(at=later(1), balance=pushed))
    assert state.balances == {"USDT": replace(before, available=D(5))}
    assert state.balances_at == START
