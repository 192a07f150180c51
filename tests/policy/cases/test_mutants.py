"""Each number shifted, each rule and action left out: every change once, and only changes that mean something."""

from guardd.policy.cases.mutants import Mutant, mutants
from guardd.policy.load import load_policy
from guardd.policy.nodes import Place
from tests.policy.cases.scene import CLOSE, EASE, STOP, WARN, policy_text

TEXT = """\
version: 1
limits: {orders_per_minute: 20, stale_after: 10s}
rules:
  - name: stop
    match: {symbol: "BTC*"}
    then:
      - stop_loss: {trigger: [{liquidation_buffer: 30%}, {price: 64000}]}
  - name: trim
    when: {any: [{buffer_left: {below: "60%"}}, {unrealized_pnl: {below: -500 USDT}}]}
    then:
      - cancel_entries: {}
      - reduce: {until: {distance_to_liquidation: .12}, at_most: 50%}
"""


def words_of(text: str) -> list[str]:
    return [mutant.what for mutant in found(text)]


def found(text: str) -> tuple[Mutant, ...]:
    return mutants(text, load_policy(text, source="p.yaml"))


def test_every_number_of_a_rule_goes_a_tenth_down_and_up_and_every_duration_to_half_and_double() -> None:
    words = words_of(TEXT)
    for shift in (
        "limits.stale_after: 10s → 5s",
        "limits.stale_after: 10s → 20s",
        "stop.then.stop_loss.trigger.liquidation_buffer: 30% → 27%",
        "stop.then.stop_loss.trigger.price: 64000 → 70400",
        "trim.when.any.buffer_left.below: 60% → 66%",
        "trim.when.any.unrealized_pnl.below: -500 USDT → -550 USDT",
        "trim.then.reduce.until.distance_to_liquidation: .12 → 0.108",
        "trim.then.reduce.at_most: 50% → 45%",
    ):
        assert shift in words
    assert not [word for word in words if "orders_per_minute" in word or "version" in word or "BTC" in word]


def test_every_rule_is_left_out_and_every_one_of_several_actions() -> None:
    words = words_of(TEXT)
    assert {"stop: left out", "trim: left out"} <= set(words)
    assert [word for word in words if "without" in word] == [
        "trim: without its action 1 (cancel entries)",
        "trim: without its action 2 (reduce until distance_to_liquidation is 12 %, at most 50 %)",
    ]


def test_what_a_rule_goes_by_without_saying_so_is_changed_too() -> None:
    words = words_of(TEXT)
    assert {"trim: for: 0s → 5s", "trim: cooldown: 30s → 15s", "trim: cooldown: 30s → 60s"} <= set(words)
    assert not [word for word in words if word.startswith(("stop: for", "stop: cooldown"))]
    assert not [word for word in words_of(policy_text(STOP, CLOSE)) if "cooldown" in word], "a close has none"
    written = words_of(policy_text(EASE))
    assert [word for word in written if "cooldown" in word or "for:" in word] == [
        "ease.for: 2s → 1s",
        "ease.for: 2s → 4s",
        "ease.cooldown: 10s → 20s",
        "ease.cooldown: 10s → 5s",
    ]


def test_a_mutant_knows_its_place_and_its_rule() -> None:
    by_words = {mutant.what: mutant for mutant in found(TEXT)}
    shifted = by_words["trim.when.any.buffer_left.below: 60% → 66%"]
    assert (shifted.place, shifted.rule) == (Place(9, 40), "trim")
    assert (by_words["trim: left out"].place, by_words["limits.stale_after: 10s → 5s"].rule) == (Place(8, 5), None)


def test_each_mutant_is_a_policy_of_its_own_and_the_original_is_none_of_them() -> None:
    policy = load_policy(TEXT, source="p.yaml")
    digests = [mutant.policy.digest for mutant in found(TEXT)]
    assert len(set(digests)) == len(digests)
    assert policy.digest not in digests


def test_a_shift_that_makes_no_policy_is_left_out_and_nothing_is_shifted_by_a_percent() -> None:
    whole = "- {name: a, when: {profit_from_entry: {below: 0%}}, then: [reduce: {by: 100%}]}"
    words = words_of(policy_text(whole))
    assert [word for word in words if "by:" in word] == ["a.then.reduce.by: 100% → 90%"], "110% of a position can't go"
    assert "a.when.profit_from_entry.below: 0% → -1%" in words


def test_a_number_behind_an_alias_is_shifted_once_for_all_its_places() -> None:
    text = policy_text(WARN.replace("75%", "&far 75%"), CLOSE.replace("30%", "*far"))
    shifts = [mutant for mutant in found(text) if "75%" in mutant.what]
    assert [mutant.what.partition(": ")[2] for mutant in shifts] == ["75% → 67.5%", "75% → 82.5%"]
