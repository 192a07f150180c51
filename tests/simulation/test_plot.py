"""What a story is made of: drawn from its seed alone, with every kind of fault in the menu, and small again when it fails."""

import pytest

from guardd.policy.load import load_policy
from guardd.simulator.faults import FaultKind
from tests.simulation.draw import drawn
from tests.simulation.menu import KINDS, NAMES
from tests.simulation.plot import Hand, Market
from tests.simulation.shrink import shrunk

NOT_DRAWN = {FaultKind.AGENT_CHECK}
"""It strikes default library agents alone, which guardd's isn't (tests/live/faults)."""


def test_every_fault_of_the_simulator_is_in_the_menu() -> None:
    assert {kind.fault for kind in KINDS if kind.fault is not None} == set(FaultKind) - NOT_DRAWN


def test_the_same_seed_draws_the_same_plot_and_a_policy_that_is_valid() -> None:
    for seed in range(60):
        plot = drawn(seed, 360.0)
        assert plot == drawn(seed, 360.0)
        for text in (plot.policy, *(rewrite.policy for rewrite in plot.rewrites)):
            assert load_policy(text, source="policy.yaml").rules[-1].name.endswith("last-resort")


def test_a_few_hundred_seeds_draw_everything_there_is() -> None:
    plots = [drawn(seed, 360.0) for seed in range(600)]
    kinds = {strike.what for plot in plots for strike in plot.strikes}
    assert kinds | {"twin", "kill"} == set(NAMES)
    assert any(plot.twins for plot in plots)
    assert any(plot.kill_at_await for plot in plots)
    assert {rewrite.tells for plot in plots for rewrite in plot.rewrites} == {
        f"stops at {factor} of their distance from the entry" for factor in ("0.6", "1.6")
    }
    assert {deed.hand for plot in plots for deed in plot.deeds} == set(Hand)
    assert {move.market for plot in plots for site in plot.sites for move in site.moves.values()} == set(Market)
    assert {(len(plot.sites), len(plot.parts)) for plot in plots} == {(1, 1), (1, 2), (2, 2)}
    assert any(part.observe for plot in plots for part in plot.parts)


@pytest.mark.parametrize("name", ["late-push", "outage", "twin"])
def test_a_kind_that_is_asked_for_is_in_each_story_and_no_other(name: str) -> None:
    for seed in range(1, 20):
        plot = drawn(seed, 360.0, faults=(name,))
        assert {strike.what for strike in plot.strikes} | ({"twin"} if plot.twins else set()) == {name}
        assert not plot.kills


def test_nothing_strikes_so_late_that_it_cannot_come_right_before_the_end() -> None:
    for seed in range(200):
        plot = drawn(seed, 360.0)
        assert all(strike.at_s + strike.for_s <= 360.0 - 60 for strike in plot.strikes)


def test_of_everything_that_strikes_only_what_it_takes_is_kept() -> None:
    items = [f"s{number}" for number in range(12)]
    assert sorted(shrunk(items, lambda kept: {"s3", "s9"} <= set(kept))) == ["s3", "s9"]
    assert shrunk(items, lambda kept: True) == ()


def test_a_story_with_some_of_its_items_keeps_their_names() -> None:
    plot = next(plot for seed in range(50) if len((plot := drawn(seed, 360.0)).strikes) >= 3)
    assert plot.only(plot.items) == plot
    assert [strike.what for strike in plot.only(["s1"]).strikes] == [plot.strikes[1].what]
    assert plot.without(plot.items).strikes == ()
