"""What more behind a position would change: never for the worse, and for an isolated one exactly its margin (I15, I17)."""

from decimal import Decimal

from hypothesis import assume, example, given
from hypothesis import strategies as st

from guardd.model.names import MarginMode, Side
from guardd.model.reading import Absent, is_value
from guardd.risk.assess import PositionRisk, assess_on
from guardd.risk.ground import Ground, ground
from guardd.risk.strengthened import margin_for_leverage, with_more_behind
from tests.model.accounts import SAMPLE_TIERS, START, D, account, instrument, key, row

drawn = st.tuples(
    st.sampled_from(Side),
    st.sampled_from(MarginMode),
    st.integers(2, 40),
    st.integers(-3, 3),
    st.integers(1, 3_000),
    st.integers(1, 1_000_000),
)


def standing(side: Side, mode: MarginMode, leverage: int, away: int, quantity: int) -> tuple[Ground, PositionRisk]:
    mark = D(90_000) * (1 - Decimal(side.sign * away) / 100)
    held = row(
        side,
        mode=mode,
        quantity=str(quantity),
        mark=str(mark),
        leverage=str(leverage),
        venue_liquidation=D(90_000) * (1 - Decimal(side.sign * 90) / 100 / leverage),
    )
    wallet = str(90 * quantity / leverage)
    state = account(held, wallet=wallet, instruments=(instrument(tiers=SAMPLE_TIERS),))
    on = ground(state, state.held[held.key], now=START)
    return on, assess_on(on, mark=mark)


@example((Side.LONG, MarginMode.ISOLATED, 38, 1, 415, 11386))
@given(drawn)
def test_I15_more_behind_a_position_never_brings_its_end_nearer(
    figures: tuple[Side, MarginMode, int, int, int, int],
) -> None:
    *where, cents = figures
    on, before = standing(*where)
    ours = on.near_liquidation
    assume(ours is Absent.NONE or (is_value(ours) and where[0].sign * (before.mark - ours) > 0))
    # Past our own price the venue's alone is seen: ours, once it is on its side again, may be the nearer one.
    after = assess_on(with_more_behind(on, Decimal(cents) / 100), mark=before.mark)
    for name in ("distance_to_liquidation", "closing_distance_to_liquidation", "buffer_left"):
        was, now = getattr(before, name), getattr(after, name)
        gains = (
            name == "buffer_left" and is_value(was) and was > 1
        )  # more than all of it is left: towards 1 is no worse
        if is_value(was) and not gains:
            assert now is Absent.NONE or (is_value(now) and now >= was), name
    for name in ("margin_ratio", "closing_margin_ratio"):
        was, now = getattr(before, name), getattr(after, name)
        if is_value(was):
            assert is_value(now), name
            assert now <= was, name


@given(drawn)
def test_more_margin_is_the_same_as_a_position_that_was_read_with_it(
    figures: tuple[Side, MarginMode, int, int, int, int],
) -> None:
    side, _, leverage, away, quantity, cents = figures
    on, _ = standing(side, MarginMode.ISOLATED, leverage, away, quantity)
    more = Decimal(cents) / 100
    margin = on.position.margin
    assert is_value(margin)
    richer = row(
        side,
        quantity=str(quantity),
        mark=str(on.position.mark_price),
        leverage=str(leverage),
        margin=margin + more,
    )
    state = account(richer, wallet="100000000", instruments=(instrument(tiers=SAMPLE_TIERS),))
    read = ground(state, state.held[key(side)], now=START)
    assert with_more_behind(on, more).near_liquidation == read.near_liquidation


def test_a_lower_leverage_asks_for_the_difference_of_two_initial_margins() -> None:
    on, _ = standing(Side.LONG, MarginMode.ISOLATED, 10, 0, 100)
    assert margin_for_leverage(on, D(5)) == 900
    assert margin_for_leverage(on, D(10)) == 0
