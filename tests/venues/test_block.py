"""What goes through while Cloudflare or a ban stands: the letter of interfaces.md section 6."""

from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardd.model.instant import NS_PER_S
from guardd.venues.block import GROUNDS, NEXT, Admission, Barred, Block, Errand, Gate, Lane, Pass, Sign

ORDINARY = Errand(lane=Lane.ORDINARY, subject="positions")
PROBE = Errand(lane=Lane.PROBE, subject="time")
CLOSE = Errand(lane=Lane.EMERGENCY, subject="main/BTCUSDT/long", closes=True)
OTHER_CLOSE = Errand(lane=Lane.EMERGENCY, subject="main/ETHUSDT/short", closes=True)
STOP = Errand(lane=Lane.EMERGENCY, subject="main/BTCUSDT/long stop")


def at(seconds: float) -> int:
    return int(seconds * NS_PER_S)


def send(gate: Gate, errand: Errand, seconds: float, sign: Sign | None = None) -> bool:
    """Ask at `seconds`; if let through, be answered with `sign` a little later."""
    leave = gate.ask(errand, at(seconds))
    if isinstance(leave, Barred):
        return False
    gate.admit(leave)
    if sign is not None:
        gate.learn(sign, leave, at(seconds + 0.1))
    return True


def blocked(sign: Sign, errand: Errand = ORDINARY) -> Gate:
    """A gate whose block began at 0.1 s."""
    gate = Gate(Random(7))
    assert send(gate, errand, 0.0, sign)
    return gate


def test_every_state_knows_every_sign_and_every_lane() -> None:
    assert set(NEXT) == set(product(Block, Sign))
    assert set(GROUNDS) == set(product(Block, Lane))


@pytest.mark.parametrize("lane", Lane)
def test_without_a_block_a_gate_admits_whom_the_table_admits(lane: Lane) -> None:
    admission = Gate(Random(7)).ask(Errand(lane=lane), 5)
    assert admission == Admission(errand=Errand(lane=lane), ground=GROUNDS[Block.FREE, lane] or Pass.TRY, at_ns=5)


def test_behind_the_edge_ordinary_requests_try_three_times_and_only_every_thirty_to_sixty_seconds() -> None:
    gate = blocked(Sign.PAGE)
    went = [tenth / 10 for tenth in range(6000) if send(gate, ORDINARY, tenth / 10, Sign.PAGE)]
    assert len(went) == 3
    gaps = [later - earlier for earlier, later in pairwise([0.1, *went])]
    assert all(30.0 <= gap <= 60.2 for gap in gaps)


def test_behind_the_edge_one_probe_goes_each_sixty_seconds() -> None:
    gate = blocked(Sign.PAGE)
    went = [second for second in range(1, 400) if send(gate, PROBE, second, Sign.PAGE)]
    assert went == [61, 121, 181, 241, 301, 361]


@pytest.mark.parametrize("errand", [CLOSE, STOP])
def test_behind_the_edge_an_emergency_write_goes_at_once_and_then_every_thirty_to_sixty_seconds(errand: Errand) -> None:
    gate = blocked(Sign.PAGE)
    went = [tenth / 10 for tenth in range(2, 3000) if send(gate, errand, tenth / 10, Sign.PAGE)]
    assert went[0] == 0.2
    assert all(30.0 <= later - earlier <= 60.2 for earlier, later in pairwise(went))
    assert len(went) >= 5


def test_behind_the_edge_each_position_has_its_own_try() -> None:
    gate = blocked(Sign.PAGE)
    assert send(gate, CLOSE, 1.0, Sign.PAGE)
    assert send(gate, OTHER_CLOSE, 1.0, Sign.PAGE)
    assert not send(gate, CLOSE, 2.0)


def test_a_close_that_met_the_page_first_has_had_its_try() -> None:
    gate = blocked(Sign.PAGE, CLOSE)
    assert not send(gate, CLOSE, 1.0)
    assert send(gate, CLOSE, 61.0)


def test_a_close_that_never_left_the_machine_may_go_at_once_again() -> None:
    gate = blocked(Sign.PAGE)
    leave = gate.ask(CLOSE, at(1.0))
    assert isinstance(leave, Admission)
    gate.admit(leave)
    gate.take_back(leave)
    assert send(gate, CLOSE, 1.1)


def test_a_probe_that_never_left_makes_a_ban_no_longer() -> None:
    """The line was cut when the ban ended: each probe that nobody answered doubled the wait, to a quarter of an hour."""
    gate = blocked(Sign.BAN)
    went: list[int] = []
    for second in range(1, 400):
        leave = gate.ask(PROBE, at(second))
        if isinstance(leave, Admission):
            gate.admit(leave)
            went.append(second)
            if second < 100:
                gate.take_back(leave)
            else:
                gate.learn(Sign.BAN, leave, at(second))
    assert went == [61, 71, 81, 91, 101, 221]
    gate = blocked(Sign.BAN)
    leave = gate.ask(PROBE, at(61))
    assert isinstance(leave, Admission)
    gate.admit(leave)
    assert send(gate, CLOSE, 61.1)
    gate.take_back(leave)
    assert not send(gate, CLOSE, 62)
    assert send(gate, PROBE, 71, Sign.BAN)
    assert send(gate, CLOSE, 71.1)


@pytest.mark.parametrize("errand", [ORDINARY, STOP])
def test_during_a_ban_nothing_ordinary_and_no_stop_goes_at_all(errand: Errand) -> None:
    gate = blocked(Sign.BAN)
    for second in range(1, 4000):
        send(gate, PROBE, second, Sign.BAN)
        assert not send(gate, errand, second)


def test_probes_of_a_ban_double_to_fifteen_minutes() -> None:
    gate = blocked(Sign.BAN)
    went = [second for second in range(1, 4000) if send(gate, PROBE, second, Sign.BAN)]
    gaps = [later - earlier for earlier, later in pairwise([1, *went])]
    assert gaps == [60, 120, 240, 480, 900, 900, 900]


def test_during_a_ban_each_position_gets_one_close_with_each_probe() -> None:
    gate = blocked(Sign.BAN)
    closes: list[int] = []
    probes: list[int] = []
    for second in range(1, 2000):
        if send(gate, PROBE, second, Sign.BAN):
            probes.append(second)
        if send(gate, CLOSE, second, Sign.BAN):
            closes.append(second)
    assert closes == probes
    assert send(gate, OTHER_CLOSE, 2000)


def test_a_ban_lets_no_close_through_before_its_first_probe_was_sent() -> None:
    gate = blocked(Sign.BAN)
    assert not send(gate, CLOSE, 30.0)
    assert not send(gate, CLOSE, 90.0)
    assert send(gate, PROBE, 90.0, Sign.BAN)
    assert send(gate, CLOSE, 90.0)


def test_the_apis_answer_to_a_probe_reopens_the_venue() -> None:
    for sign in (Sign.PAGE, Sign.BAN):
        gate = blocked(sign)
        assert send(gate, PROBE, 61.0, Sign.ANSWER)
        assert gate.block is Block.FREE
        assert send(gate, ORDINARY, 61.2)


def test_an_answer_to_a_request_sent_before_the_block_proves_nothing() -> None:
    gate = Gate(Random(7))
    early = gate.ask(ORDINARY, at(0.0))
    assert isinstance(early, Admission)
    gate.admit(early)
    assert send(gate, ORDINARY, 0.1, Sign.BAN)
    gate.learn(Sign.ANSWER, early, at(0.5))
    assert gate.block is Block.BAN


def test_a_ban_overrides_the_edge_and_a_page_does_not_soften_a_ban() -> None:
    gate = blocked(Sign.PAGE)
    assert send(gate, CLOSE, 1.0, Sign.BAN)
    assert gate.block is Block.BAN
    assert send(gate, PROBE, 62.0, Sign.PAGE)
    assert gate.block is Block.BAN


def test_a_retry_after_longer_than_our_own_wait_is_honoured() -> None:
    gate = Gate(Random(7))
    leave = gate.ask(ORDINARY, at(0.0))
    assert isinstance(leave, Admission)
    gate.admit(leave)
    gate.learn(Sign.PAGE, leave, at(0.0), retry_after_s=300.0)
    assert not send(gate, PROBE, 299.0)
    assert not send(gate, ORDINARY, 299.0)
    assert send(gate, PROBE, 300.0)


@given(
    st.randoms(use_true_random=False),
    st.sampled_from([Sign.PAGE, Sign.BAN]),
    st.lists(
        st.tuples(st.sampled_from([ORDINARY, PROBE, CLOSE, OTHER_CLOSE, STOP]), st.floats(0.0, 40.0)), max_size=200
    ),
)
def test_I12_no_order_of_errands_gets_more_through_a_block_than_its_law(
    random: Random, sign: Sign, errands: list[tuple[Errand, float]]
) -> None:
    gate = Gate(random)
    assert send(gate, ORDINARY, 0.0, sign)
    second = 0.2
    went: list[tuple[float, Errand, Pass]] = []
    for errand, pause_s in errands:
        second += pause_s
        leave = gate.ask(errand, at(second))
        if isinstance(leave, Admission):
            gate.admit(leave)
            gate.learn(sign, leave, at(second))
            went.append((second, errand, leave.ground))
    probes = [when for when, _, ground in went if ground is Pass.PROBE]
    assert all(later - earlier >= 59.99 for earlier, later in pairwise([0.1, *probes]))
    assert sum(ground is Pass.TRY for _, _, ground in went) <= 3
    for errand in (CLOSE, OTHER_CLOSE, STOP):
        times = [when for when, who, _ in went if who is errand]
        if sign is Sign.PAGE:
            assert all(later - earlier >= 29.99 for earlier, later in pairwise(times))
        else:
            assert len(times) <= len(probes) * errand.closes
    assert not (sign is Sign.BAN and any(ground is Pass.TRY for _, _, ground in went))
