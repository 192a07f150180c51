"""Edges that a small mistake would move: what a move of a stop excuses, what is judged when half of it is unknown, exact bounds."""

import pytest

from guardd.model.event import BalanceRead, IntentMoved, OrdersRead
from guardd.model.fold import fold
from guardd.model.instant import Instant
from guardd.model.intent import Action, CloseAtMarket, Intent, PlaceProtection, Stage, client_id
from guardd.model.names import EpisodeId, MarginMode, OrderId, PriceType, RuleName
from guardd.model.order import PlanForm, ProtectionKind
from guardd.model.reading import Absent, is_value
from guardd.model.state import AccountState
from guardd.risk.assess import assess_on, assess_position
from guardd.risk.cover import MOVE_PACE_S, Cover, cover
from guardd.risk.ground import ground
from guardd.risk.strengthened import with_more_behind
from tests.changed import replace
from tests.model.accounts import START, D, account, later, row, stop
from tests.risk.test_cover import want


def _looser(moved: Stage, action: Action, *, after_s: float, earlier_life: bool = False) -> Cover:
    """A stop rests that is looser than wanted, and an intent of so many seconds ago."""
    state = account(row(venue_liquidation=D(82000)))
    fold(state, OrdersRead(started=START, at=START, resting=None, plans=(stop("84000"),)))
    held = next(iter(state.held.values()))
    episode = EpisodeId("another life") if earlier_life else held.episode.id
    state.own_order_ids.add(OrderId("1"))
    _ended(state, action, episode, moved)
    now = later(after_s)
    return cover(state, held, assess_position(state, held, mark=D(89000), now=now), wanted=(want("85000"),), now=now)


def _ended(state: AccountState, action: Action, episode: str, stage: Stage) -> None:
    held = next(iter(state.held.values()))
    write = (
        PlaceProtection(
            key=held.key,
            kind=ProtectionKind.STOP_LOSS,
            form=PlanForm.WHOLE,
            trigger_price=D(84000),
            price_type=PriceType.MARK,
            size=None,
            position_size=D(100),
            leverage=None,
            margin_mode=MarginMode.ISOLATED,
        )
        if action is Action.STOP_LOSS
        else CloseAtMarket(key=held.key, size=D(1))
    )
    rule = RuleName("resting-protection/stop_loss/0")
    intent = Intent(
        id=client_id(held.key.account, held.episode.id, rule, 0),
        account=held.key.account,
        key=held.key,
        episode=EpisodeId(episode),
        rule=rule,
        step=0,
        action=action,
        write=write,
        decided=START,
        frame_ns=None,
        quantity_before=D(100),
        closed_before=D(0),
        reason="",
        inputs=(),
    )
    path = [Stage.DECIDED, Stage.JOURNALLED, Stage.SENT, Stage.ACCEPTED, stage]
    for each in path if stage is not Stage.REJECTED else [*path[:3], stage]:
        fold(state, IntentMoved(at=START, intent=intent, stage=each))


def test_a_stop_that_was_just_moved_may_be_looser_than_wanted_until_it_may_be_moved_again() -> None:
    assert _looser(Stage.VERIFIED, Action.STOP_LOSS, after_s=MOVE_PACE_S).protected
    assert not _looser(Stage.VERIFIED, Action.STOP_LOSS, after_s=MOVE_PACE_S + 0.1).protected


@pytest.mark.parametrize(
    ("stage", "action", "earlier_life"),
    [
        (Stage.FAILED, Action.STOP_LOSS, False),
        (Stage.VERIFIED, Action.REDUCE, False),
        (Stage.VERIFIED, Action.STOP_LOSS, True),
    ],
)
def test_nothing_else_excuses_it(stage: Stage, action: Action, earlier_life: bool) -> None:
    assert not _looser(stage, action, after_s=1, earlier_life=earlier_life).protected


def test_I19_what_stands_behind_a_part_of_a_position_is_unknown_where_its_margin_is() -> None:
    state = account(row(margin=Absent.UNKNOWN))
    held = next(iter(state.held.values()))
    on = ground(state, held, now=START)
    assert not is_value(assess_on(on, mark=D(89000), quantity=D(50)).margin_ratio)
    assert with_more_behind(on, D(10)) is not None


def _now(state: AccountState) -> Instant:
    return state.balances_at or START


def test_I19_a_balance_whose_figures_are_missing_is_no_ground_for_a_ratio() -> None:
    state = account(row(mode=MarginMode.CROSS))
    held = next(iter(state.held.values()))
    known = assess_position(state, held, mark=D(89000), now=_now(state)).account_margin_ratio
    assert known is not None
    assert is_value(known)
    balances = tuple(
        replace(each, equity=Absent.UNKNOWN, unrealized_pnl=Absent.UNKNOWN) for each in state.balances.values()
    )
    fold(state, BalanceRead(started=START, at=START, balances=balances))
    assert assess_position(state, held, mark=D(89000), now=_now(state)).account_margin_ratio is Absent.UNKNOWN
