"""Boundary probes: found where a case crosses a threshold, and wrong whenever the guard is a tick off."""

from decimal import Decimal

import pytest

from guardd.cli.stage.play import play
from guardd.cli.stage.rehearsal import rehearse
from guardd.policy.cases.judge import Recording
from guardd.policy.cases.language import TrackKind
from guardd.policy.cases.probes import Crossings, Probe, probes_of
from guardd.policy.conditions import Use
from guardd.policy.language import Policy
from tests.changed import replace
from tests.policy.cases.scene import CLOSE, EASE, STOP, WARN, case, falling, policy

D = Decimal
TICK = D("0.1")


async def probes(body: str, of: Policy) -> tuple[Probe, ...]:
    made = falling(body)
    crossings = Crossings(case=made, policy=of)
    recording = await play(made, of, look=crossings.look)
    return probes_of(made, crossings.found, recording)


async def test_a_crossed_threshold_gives_two_probes_one_tick_apart() -> None:
    short, past = await probes("90000 89500 88500x2", policy(WARN))
    assert (short.must_fire, past.must_fire) == (False, True)
    assert short.price - past.price == TICK
    assert past.price < D("89100") < D("90000")
    assert short.crossing.step == 2
    for probe in (short, past):
        assert probe.holds(await play(probe.case, policy(WARN)))


async def test_a_probe_holds_its_price_from_the_crossing_on_for_as_long_as_the_rule_waits() -> None:
    (short, past) = await probes("90000 88000x4", policy(EASE))
    marks = past.case.track(TrackKind.MARK, "BTCUSDT")
    assert marks is not None
    assert marks.samples == (D(90000), past.price)
    assert past.case.lasts_s == 1 + 2 + 2
    assert short.crossing.use is Use.CLOSE


@pytest.mark.parametrize("shift", [D("0.0001"), D("-0.0001")])
async def test_a_guard_that_fires_a_few_ticks_elsewhere_fails_a_probe(shift: Decimal) -> None:
    """At 20 times a ten-thousandth of the way is 0.4 of price: four ticks."""
    right = policy(CLOSE)
    found = await probes("90000 87000x2", right)
    elsewhere = policy(CLOSE.replace("30%", f"{(D('0.3') + shift) * 100:f}%"))
    assert [probe.holds(await play(probe.case, right)) for probe in found] == [True, True]
    assert not all([probe.holds(await play(probe.case, elsewhere)) for probe in found])


async def test_no_probe_without_a_decision_that_the_crossing_caused() -> None:
    held = policy(EASE.replace("for: 2s", "for: 9s"))
    assert await probes("90000 88000x2 90000", held) == ()
    assert await probes("90000 89900", policy(WARN)) == ()
    assert await probes("90000", policy(STOP)) == ()


async def test_each_threshold_of_a_rule_has_its_own_probes_and_each_only_once() -> None:
    both = policy(
        "- {name: r, when: {any: [{buffer_left: {below: 75%}}, {profit_from_entry: {above: 2%}}]}, then: [notify: {}]}"
    )
    found = await probes("90000 88800 90000 88700 90000 91900 90000", both)
    assert [str(probe.crossing.leaf.metric) for probe in found] == ["buffer_left"] * 2 + ["profit_from_entry"] * 2
    assert found[3].price == D("91800.1")


async def test_a_short_is_probed_the_other_way_up() -> None:
    made = case(
        "positions: [{symbol: BTCUSDT, side: short, quantity: 10, entry: 90000}]\n"
        'series: [{mark: BTCUSDT, values: "90000 92000x2"}]'
    )
    crossings = Crossings(case=made, policy=policy(WARN))
    recording = await play(made, policy(WARN), look=crossings.look)
    short, past = probes_of(made, crossings.found, recording)
    assert past.price - short.price == TICK


async def test_a_probe_of_a_guard_that_broke_never_holds() -> None:
    short, past = await probes("90000 88500x2", policy(WARN))
    assert short.holds(Recording())
    assert not short.holds(Recording(broken=["main/guard: it fell"]))
    assert not past.holds(Recording())


async def test_a_case_that_failed_is_not_probed() -> None:
    unexpected = falling("90000 88500x2")
    played = await rehearse(unexpected, policy(WARN))
    assert not played.passed
    assert played.probed == ()
    expected = replace(falling("90000 88500x2", "- {at: 1s, expect: [{rule: warn, action: notify}]}"), name="it")
    played = await rehearse(expected, policy(WARN))
    assert played.passed
    assert len(played.probed) == 2
