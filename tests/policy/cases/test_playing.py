"""What plays a case is the daemon's own account: its limits, cooldowns, first sights, blindness, verified outcomes."""

from decimal import Decimal

import pytest

from guardd.cli.stage.play import play
from guardd.errors import ConfigurationError
from guardd.model.names import Severity
from guardd.policy.cases.judge import Made, Recording, judge
from guardd.policy.cases.language import Case
from tests.policy.cases.scene import CLOSE, EASE, HEAD, HELD, STOP, WARN, case, falling, policy

D = Decimal
TWO = HEAD.replace(
    "account:",
    "  ETHUSDT: {tick: 0.01, contract_size: 0.01, tiers: [{up_to: 500000 USDT, maintenance: 0.5%, max_leverage: 100}]}\naccount:",
)


def told(recording: Recording, words: str) -> list[Decimal]:
    return [heard.at_s for heard in recording.heard if words in heard.text]


def brief(recording: Recording) -> list[tuple[Decimal, str, str]]:
    return [(made.at_s, made.rule, made.action) for made in recording.made]


async def test_a_stop_rests_from_the_start_and_the_exchange_triggers_it() -> None:
    recording = await play(falling("90000x2 87299x2"), policy(STOP))
    stop = recording.made[0]
    assert (stop.at_s, stop.rule, stop.action, stop.figures) == (D(0), "stop", "stop_loss", {"price": D(87300)})
    assert len(recording.made) == 1
    assert recording.market == [(D(3), "the exchange: stop_loss of BTCUSDT long at 87300.0 triggered")]
    assert told(recording, "flat")


async def test_for_is_waited_out_and_the_cooldown_counts_from_the_verified_fill() -> None:
    recording = await play(falling("90000x2 88100x16"), policy(EASE))
    sizes = [(made.at_s, made.figures["size"]) for made in recording.made]
    assert sizes == [(D(5), D(250)), (D("15.25"), D(188))], (
        "verified 50 ms after it was sent; judged four times a second"
    )


async def test_a_limit_of_the_leash_holds_a_reduction_back_and_is_told() -> None:
    recording = await play(falling("90000x2 88100x16"), policy(EASE, limits="{reduce_per_hour: 30%}"))
    assert len(recording.made) == 1
    assert told(recording, "not sent")


async def test_a_position_that_opens_later_is_seen_for_the_first_time_and_its_rule_is_held() -> None:
    body = (
        "positions: [{symbol: BTCUSDT, side: long, quantity: 1000, entry: 90000, opens: 2s}]\n"
        'series: [{mark: BTCUSDT, values: "88100x8"}]'
    )
    recording = await play(case(body), policy(EASE))
    assert recording.made == []
    assert told(recording, "held until")
    shown = await play(falling("88100x8"), policy(EASE))
    assert brief(shown) == [(D(2), "ease", "reduce")], "shown at CONFIRM: it acts at once"


async def test_I28_a_price_that_only_one_frame_says_closes_nothing() -> None:
    alone = 'series: [{mark: BTCUSDT, values: "90000x6"}, {frame: BTCUSDT, values: "_x2 86500 _"}]'
    assert (await play(case(f"{HELD}\n{alone}"), policy(CLOSE))).made == []
    true = await play(falling("90000x1 86500 90000x3"), policy(CLOSE))
    assert brief(true) == [(D(2), "last", "close")], "its last price says so too"


async def test_steps_without_a_frame_are_bridged_by_reads_and_stale_ones_are_blindness() -> None:
    fast = policy(CLOSE, limits="{stale_after: 5s}")
    bridged = await play(falling("90000 _x9"), fast)
    assert not told(bridged, "blind")
    blind = await play(falling("90000 stale _x7 86500"), fast)
    assert told(blind, "blind: mark") == [D("5.25")]
    assert brief(blind) == [(D(9), "last", "close")], "the first number ends it"


@pytest.mark.parametrize(
    ("fault", "sees"),
    [
        ("unreadable_positions", "unreadable_positions, as the case says"),
        ("unreadable_orders", "unreadable_orders, as the case says"),
        ("unreadable_balance", "unreadable_balance, as the case says"),
        ("silent_streams", "stream: as the case says"),
        ("blocked", "blocked before the API"),
    ],
)
async def test_a_fault_is_what_the_guard_meets(fault: str, sees: str) -> None:
    series = f'series: [{{mark: BTCUSDT, values: "90000x14"}}, {{fault: {fault}, values: "0x1 1x13"}}]'
    recording = await play(case(f"{HELD}\n{series}"), policy(WARN))
    assert min(told(recording, sees)) >= D(2)


@pytest.mark.parametrize(("fault", "left"), [("rejected", 1000), ("lost", 1000), ("unanswered", 0)])
async def test_a_write_may_be_rejected_lost_or_carried_out_without_an_answer(fault: str, left: int) -> None:
    series = f'series: [{{mark: BTCUSDT, values: "90000x1 86500x12"}}, {{fault: {fault}, values: "1x7 0"}}]'
    recording = await play(case(f"{HELD}\n{series}"), policy(CLOSE))
    closes = [made for made in recording.made if made.action == "close"]
    assert len(closes) == 1, "further tries are the same decision"
    flat = told(recording, "flat")
    assert flat
    assert (min(flat) >= D(8)) == bool(left)


async def test_a_liquidation_is_an_end_that_nobody_expected() -> None:
    recording = await play(falling("90000x1 85000x2"), policy(WARN))
    ends = [made for made in recording.made if made.action == "liquidated"]
    assert [end.symbol for end in ends] == ["BTCUSDT"]
    assert not judge(falling("90000x1 85000x2"), recording).passed


async def test_entries_are_cancelled_as_one_decision_and_orders_may_be_placed_later() -> None:
    body = (
        f"{HELD}\norders:\n"
        "  - {symbol: BTCUSDT, side: long, price: 80000, quantity: 10}\n"
        "  - {symbol: BTCUSDT, side: long, price: 81000, quantity: 10}\n"
        "  - {symbol: BTCUSDT, side: long, price: 82000, quantity: 10, placed: 4s}\n"
        'series: [{mark: BTCUSDT, values: "90000x1 88000x9"}]'
    )
    cancel = "- {name: no-more, when: {buffer_left: {below: 75%}}, cooldown: 5s, then: [cancel_entries: {}]}"
    recording = await play(case(body), policy(cancel))  # lists of orders are read every ten seconds
    assert brief(recording) == [(D(2), "no-more", "cancel_entries"), (D(10), "no-more", "cancel_entries")]


async def test_cross_positions_share_the_account_and_money_may_leave_it() -> None:
    body = (
        "account: {margin_mode: cross, equity: 9000 USDT}\n"
        "positions:\n"
        "  - {symbol: BTCUSDT, side: long, quantity: 1000, entry: 90000}\n"
        "  - {symbol: ETHUSDT, side: long, quantity: 1000, entry: 3000}\n"
        'series: [{mark: BTCUSDT, values: "90000"}, {mark: ETHUSDT, values: "3000"}, {equity: USDT, values: "9000x2 6200 _x3"}]'
    )
    rule = "- {name: thin, when: {account_margin_ratio: {above: 10%}}, then: [notify: {severity: critical}]}"
    recording = await play(case(body, head=TWO), policy(rule))
    assert {made.symbol for made in recording.made} == {"BTCUSDT", "ETHUSDT"}
    assert {made.severity for made in recording.made} == {Severity.CRITICAL}
    assert min(made.at_s for made in recording.made) >= D(3), "the balance is read every two seconds"


async def test_while_halted_only_a_close_acts() -> None:
    series = 'series: [{mark: BTCUSDT, values: "90000x1 88100x7 86500x2"}, {fault: halted, values: "1"}]'
    recording = await play(case(f"{HELD}\n{series}"), policy(EASE, CLOSE))
    assert brief(recording) == [(D(10), "last", "close")]
    resumed = series.replace('"1"', '"1x5 0"')
    recording = await play(case(f"{HELD}\n{resumed}"), policy(EASE, CLOSE))
    assert brief(recording)[0] == (D(6), "ease", "reduce")


async def test_funding_is_paid_out_of_the_margin_of_an_isolated_position() -> None:
    """2 % of 90000 is 1800 of a margin of 4500: liquidation comes nearer, and nothing else has moved."""
    series = 'series: [{mark: BTCUSDT, values: "90000x4"}, {funding: BTCUSDT, values: "_x2 0.02"}]'
    near = "- {name: near, when: {distance_to_liquidation: {below: 3%}}, then: [notify: {}]}"
    recording = await play(case(f"{HELD}\n{series}"), policy(near))
    assert [made.rule for made in recording.made] == ["near"]
    assert D(2) <= recording.made[0].at_s < D(4)


async def test_levers_are_played_where_the_venue_has_them() -> None:
    add = "- {name: lift, when: {buffer_left: {below: 60%}}, then: [add_margin: {amount: 500 USDT}]}"
    lower = "- {name: slow, when: {buffer_left: {below: 60%}}, then: [set_leverage: {to: 10}]}"
    lifted = await play(falling("90000 88000x2"), policy(add))
    assert [(made.action, made.figures) for made in lifted.made] == [("add_margin", {"amount": D(500)})]
    slowed = await play(falling("90000 88000x2"), policy(lower))
    assert [(made.action, made.figures) for made in slowed.made] == [("set_leverage", {"leverage": D(10)})]
    elsewhere = await play(falling("90000 88000x2", more="account: {venue: bitmart}"), policy(add))
    assert elsewhere.made == [], "BitMart has no call for it"


async def test_the_same_case_gives_the_same_recording() -> None:
    def playing() -> Case:
        return falling("90000x2 88100x9 86500x2")

    first: list[Made] = (await play(playing(), policy(STOP, WARN, EASE, CLOSE))).made
    assert first == (await play(playing(), policy(STOP, WARN, EASE, CLOSE))).made
    assert first


async def test_it_can_be_left_early_and_is_looked_at_before_each_step() -> None:
    looked: list[int] = []
    recording = await play(
        falling("90000 88000x9"),
        policy(WARN),
        look=lambda step, state, now: looked.append(step),
        enough=lambda so_far, at_s: bool(so_far.made),
    )
    assert looked == [0, 1]
    assert len(recording.made) == 1


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        ("{symbol: BTCUSDT, side: long, quantity: 1000, entry: 90000, leverage: 200}", "leverage"),
        ("{symbol: BTCUSDT, side: long, quantity: 0.5, entry: 90000}", "size_precision"),
        ("{symbol: BTCUSDT, side: long, quantity: 1000, entry: 90000, opens: 1s, leverage: 1}", "insufficient_balance"),
    ],
)
async def test_what_the_exchange_cant_hold_is_a_fault_of_the_case(positions: str, words: str) -> None:
    body = f'positions: [{positions}]\nseries: [{{mark: BTCUSDT, values: "90000x2"}}]'
    with pytest.raises(ConfigurationError, match=words):
        await play(case(body), policy(WARN))
