"""Each checker fires on what it is there for: a violation is planted on a small exchange, and exactly its invariant is told."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Final, cast

import pytest

from guardd.journal.entry import Meant
from guardd.journal.sqlite import FILE_NAME
from guardd.journal.store import open_store
from guardd.model.account import AccountCondition
from guardd.model.facts import AccountView, IntentStaged, PositionView, Said
from guardd.model.instant import Instant
from guardd.model.intent import Action, CloseAtMarket, Intent, PlaceProtection, Stage, client_id
from guardd.model.names import AccountName, EpisodeId, PositionKey, RuleName, Severity, Side, Symbol, VenueName
from guardd.model.order import PlanForm, PriceType, ProtectionKind
from guardd.model.outcome import Outcome, Reason, Rejected
from guardd.model.position import MarginMode as HeldIn
from guardd.model.reading import Absent
from guardd.policy.load import load_policy
from guardd.simulator.contracts import default_contracts
from guardd.simulator.engine import Exchange
from guardd.simulator.faults import FaultKind, Faults
from guardd.simulator.ledger import RowKind
from guardd.simulator.orders import Direction, MarginMode, OrderKind, OrderRequest, PlanKind, PlanRequest
from guardd.simulator.orders import Side as Way
from guardd.simulator.records import TransferDirection
from guardd.simulator.run import SimulatedVenue
from guardd.simulator.server import SimulatorServer
from guardd.simulator.stamps import RequestStamp
from guardd.simulator.terms import FillModel
from guardd.venues.wire import WireRequest
from tests.changed import replace
from tests.simulation.checks import Case, Checks, Span

MAIN: Final = AccountName("main")
BTC: Final = "BTCUSDT"
ETH: Final = "ETHUSDT"
SUBMIT: Final = "/contract/private/submit-order"
PLACE: Final = "/api/v2/mix/order/place-order"
POLICY: Final = """\
version: 1
limits: {top_up_per_day: 100 USDT}
rules:
  - name: resting-protection
    then:
      - stop_loss: {trigger: {from_entry: -8%}}
  - name: trim
    when: {profit_from_entry: {below: -1%}}
    cooldown: 30s
    then: [reduce: {by: 25%}]
  - name: last-resort
    when: {profit_from_entry: {below: -5%}}
    then: [close: {}]
"""
LADDER: Final = """\
version: 1
rules:
  - name: resting-protection
    then:
      - stop_loss: [{trigger: {from_entry: -4%}, size: 50%}, {trigger: {from_entry: -6%}, size: 50%}]
"""
FIRST_SIGHT: Final = """\
version: 1
rules:
  - name: trim
    when: {notional: {above: 1000 USDT}}
    then: [reduce: {by: 25%}]
"""
HARVEST: Final = """\
version: 1
rules:
  - name: trim
    when: {profit_from_entry: {above: 10%}}
    then: [reduce: {by: 25%}]
"""


class Desk:
    """A long of 100 contracts of BTC at 60,000, seen by `Checks`. Seconds pass only when told."""

    def __init__(self, *, acts: bool = True, margin_mode: MarginMode = MarginMode.CROSS) -> None:
        self.exchange = Exchange(default_contracts(), seed=1, now_ms=0)
        self.exchange.add_account("main", deposit=Decimal(10_000), spot=Decimal(1_000), margin_mode=margin_mode)
        self.now = 0.0
        self.checks = Checks(self.exchange, "main", Decimal(-5), 0)
        policy = load_policy(POLICY, source="policy.yaml")
        self.checks.case = Case(
            account="main", venue=SimulatedVenue.BITMART, policy=policy, acts=acts, secrets=("s3cr3t",)
        )
        self.steps = 0
        self.price(60_000)
        self.exchange.place("main", OrderRequest(symbol=BTC, side=Way.BUY, size=Decimal(100)), self.ms)
        self.price(60_000)

    @property
    def ms(self) -> int:
        return int(self.now * 1000)

    @property
    def told(self) -> set[str]:
        return {line.split(" ", 1)[0] for line in self.checks.breaches}

    def price(self, mark: int) -> None:
        self.exchange.move(BTC, mark=Decimal(mark), now_ms=self.ms)
        self.checks.look(self.now, guarded=True)

    def wait(self, seconds: float, *, mark: int = 60_000) -> None:
        for _ in range(int(seconds)):
            self.now += 1.0
            self.price(mark)

    def asked(
        self, path: str = SUBMIT, body: str = "", *, method: str = "POST", status: int = 200, answer: str = ""
    ) -> None:
        self.steps += 1
        stamp = RequestStamp(
            sequence=self.steps,
            mono_ns=0,
            method=method,
            path=path,
            uid="main",
            body=body,
            status=status,
            answer=answer,
        )
        self.checks.asked(stamp, self.now, "life")

    def venue(self, venue: SimulatedVenue) -> None:
        case = self.checks.case
        assert case is not None
        self.checks.case = replace(case, venue=venue)

    def stop(self, trigger: str, *, step: int = 0, size: int | None = 100, client: str = "") -> str:
        """The guard places one."""
        request = PlanRequest(
            symbol=BTC,
            kind=PlanKind.STOP_LOSS,
            side=Way.SELL,
            reduce=True,
            trigger_price=Decimal(trigger),
            size=None if size is None else Decimal(size),
            client_id=client or ours(f"stop/{step}"),
        )
        plan = self.exchange.place_plan("main", request, self.ms)
        self.asked("/contract/private/submit-tp-sl-order")
        return plan.plan_id

    def close(self, size: int, *, of: Intent | None = None) -> None:
        client = ours("close") if of is None else of.id
        order = OrderRequest(symbol=BTC, side=Way.SELL, size=Decimal(size), reduce=True, client_id=client)
        self.exchange.place("main", order, self.ms)
        self.asked()

    def cancel(self, plan_id: str) -> None:
        self.exchange.cancel_plan("main", plan_id, self.ms)
        self.asked("/contract/private/cancel-plan-order")

    def planted(self, kind: RowKind, **details: str | bool | None) -> None:
        """A ledger row that this exchange would never write."""
        self.exchange._world.note(kind, "main", BTC, **details)
        self.asked()


def ours(what: str) -> str:
    return client_id(MAIN, EpisodeId("e1"), RuleName(what), 0)


def order(
    *, reduce: bool = True, size: str = "10", price: str | None = None, what: str = "x"
) -> dict[str, str | bool | None]:
    return {
        "action": "submit", "order_id": f"o-{what}", "client_id": ours(what), "plan_id": "", "side": "sell", "reduce": reduce,
        "order_kind": "market", "price": price, "size": size, "filled": "0", "cause": None,
    }  # fmt: skip


def plan(*, trigger: str = "56000", size: str | None = None) -> dict[str, str | bool | None]:
    return {
        "action": "placed", "plan_id": "1", "pair_id": "1", "client_id": ours("s"), "plan_kind": "stop_loss", "side": "sell",
        "position_side": "long", "reduce": True, "trigger_price": trigger, "mark": "60000", "source": "mark", "size": size,
        "protects": True, "live": True, "order_id": "", "failure": None,
    }  # fmt: skip


def intent(
    *, rule: str = "last-resort", action: Action = Action.CLOSE, loss: str = "-0.06", reason: str = "", step: int = 0
) -> Intent:
    key = PositionKey(MAIN, Symbol(BTC), Side.LONG)
    return Intent(
        id=client_id(MAIN, EpisodeId("e1"), RuleName(rule), step),
        account=MAIN,
        key=key,
        episode=EpisodeId("e1"),
        rule=RuleName(rule),
        step=step,
        action=action,
        write=CloseAtMarket(key=key, size=Decimal(100)),
        decided=Instant(0, 0),
        frame_ns=None,
        quantity_before=Decimal(100),
        closed_before=Decimal(0),
        reason=reason,
        inputs=(("mark", "56400"), ("profit_from_entry", loss)),
    )


def staged(meant: Intent, stage: Stage = Stage.JOURNALLED, outcome: Outcome | None = None) -> IntentStaged:
    return IntentStaged(account=MAIN, venue=VenueName("bitmart"), intent=meant, stage=stage, outcome=outcome, detail="")


def test_a_story_in_which_nothing_is_wrong_has_no_breach() -> None:
    desk = Desk()
    first = desk.stop("56000")
    desk.wait(20)
    desk.stop("56500", step=1)
    desk.cancel(first)
    desk.asked("/contract/private/position-v2", method="GET")
    desk.wait(3, mark=56_900)
    desk.checks.heard(staged(intent()), desk.now, "life")
    desk.close(100, of=intent())
    for each in desk.exchange.query.open_plans("main"):
        desk.cancel(each.plan_id)
    desk.wait(40, mark=56_900)
    desk.checks.close_of_story(desk.now)
    assert desk.checks.breaches == []
    assert desk.checks.closes == 1


def _opens(desk: Desk) -> None:
    desk.planted(RowKind.ORDER_ACCEPTED, **order(reduce=False))


def _two_closes_above_all(desk: Desk) -> None:
    desk.planted(RowKind.ORDER_ACCEPTED, **order(size="60", what="a"))
    desk.planted(RowKind.ORDER_ACCEPTED, **order(size="60", what="b"))


def _stop_above_all(desk: Desk) -> None:
    desk.wait(20)
    desk.planted(RowKind.PLAN, **plan(size="120"))


def _enlarges(desk: Desk) -> None:
    fill = {**order(), "position_side": "long", "net": False, "before": "100", "after": "110", "mark": "60000"}
    desk.planted(RowKind.FILL, **fill)


def _ends_its_stop(desk: Desk) -> None:
    desk.cancel(desk.stop("56000"))
    desk.checks.disturb(desk.now + 100)
    desk.wait(8)


def _stop_through_the_mark(desk: Desk) -> None:
    desk.price(60_000)
    desk.planted(RowKind.PLAN, **plan(trigger="61000"))


def _three_stops(desk: Desk) -> None:
    for step in range(3):
        desk.stop(str(56_000 + step), step=step, size=30)


def _bare_at_the_end(desk: Desk) -> None:
    desk.checks.close_of_story(desk.now)


def _outlives(desk: Desk) -> None:
    desk.stop("56000")
    desk.asked("/contract/private/position-v2", method="GET")
    desk.close(100)
    desk.wait(45)


def _twice(desk: Desk) -> None:
    desk.planted(RowKind.ORDER_ACCEPTED, **order(what="a"))
    desk.planted(RowKind.ORDER_ACCEPTED, **order(what="a"))


def _again_without_a_read(desk: Desk) -> None:
    desk.asked(body=f'{{"client_order_id": "{ours("a")}"}}')
    desk.asked(body=f'{{"client_order_id": "{ours("a")}"}}')


def _means_it_again_without_a_look(desk: Desk) -> None:
    desk.checks.begun("life", desk.now)
    desk.wait(3, mark=56_400)
    for step in range(2):
        meant = intent(step=step)
        desk.checks.heard(staged(meant), desk.now, "life")
        body = f'{{"client_order_id": "{meant.id}"}}'.encode()
        request = WireRequest(method="POST", url=f"https://venue{SUBMIT}", headers={}, body=body)
        desk.checks.requests.unheard(request, desk.now, "life")


def _again_after_a_time_out_of_the_venue(desk: Desk) -> None:
    _goes_twice(desk, code="40010")


def _goes_twice(desk: Desk, *, code: str) -> None:
    desk.venue(SimulatedVenue.BITGET)
    for _ in range(2):
        body = f'{{"clientOid": "{ours("a")}"}}'
        desk.asked(PLACE, body, status=400, answer=f'{{"code":"{code}","msg":"-","data":null}}')


def _closes_everything(desk: Desk) -> None:
    desk.venue(SimulatedVenue.BITGET)
    desk.asked("/api/v2/mix/order/close-positions", '{"productType":"USDT-FUTURES"}')


def _parks_for_nothing(desk: Desk) -> None:
    for condition in (AccountCondition.LIVE, AccountCondition.PARKED):
        desk.checks.heard(_view(condition=condition), desk.now, "life")


def _held_in_breach(desk: Desk) -> None:
    desk.stop("50000")
    desk.wait(30, mark=56_000)


def _bare(desk: Desk) -> None:
    desk.wait(30)


def _half_covered(desk: Desk) -> None:
    desk.stop("56000", size=50)
    desk.wait(30)


def _loosened(desk: Desk) -> None:
    desk.stop("56000")
    desk.stop("55000", step=1)


def _leaves_what_a_fired_stop_left(desk: Desk) -> None:
    """Somebody's resting close held a part of the volume when the stop fired."""
    desk.stop("58000", size=None)
    asked = OrderRequest(
        symbol=BTC, side=Way.SELL, size=Decimal(40), reduce=True, kind=OrderKind.LIMIT, price=Decimal(70_000)
    )
    desk.exchange.place("main", asked, desk.ms)
    desk.wait(30, mark=57_900)


def _too_many_calls(desk: Desk) -> None:
    for _ in range(7):
        desk.asked("/contract/private/position-v2", method="GET")


def _cancels_the_traders(desk: Desk) -> None:
    asked = PlanRequest(symbol=BTC, kind=PlanKind.STOP_LOSS, side=Way.SELL, reduce=True, trigger_price=Decimal(55_000))
    placed = desk.exchange.place_plan("main", asked, desk.ms)
    desk.price(60_000)
    desk.cancel(placed.plan_id)


def _the_later_decides(desk: Desk) -> None:
    desk.stop("56000")
    desk.checks.begun("life", desk.now)
    desk.wait(30)
    desk.checks.begun("twin", desk.now)
    desk.wait(12)
    desk.checks.heard(staged(intent(rule="resting-protection", action=Action.STOP_LOSS)), desk.now, "twin")


def _the_smaller_leg_alone(desk: Desk) -> None:
    desk.exchange.place("main", OrderRequest(symbol=BTC, side=Way.SELL, size=Decimal(60)), desk.ms)
    desk.price(60_000)
    short = OrderRequest(symbol=BTC, side=Way.BUY, size=Decimal(60), reduce=True, client_id=ours("c"))
    desk.exchange.place("main", short, desk.ms)
    desk.asked()


def _tops_up_above_its_cap(desk: Desk) -> None:
    for _ in range(3):
        desk.exchange.transfer("main", TransferDirection.TO_FUTURES, Decimal(40), desk.ms)
        desk.asked("/account/v1/transfer-contract")


def _raises_leverage(desk: Desk) -> None:
    for leverage in (8, 9):
        desk.planted(RowKind.SETTING, margin_mode="cross", long_leverage=str(leverage), short_leverage=str(leverage))


def _off_the_tick(desk: Desk) -> None:
    desk.planted(RowKind.ORDER_ACCEPTED, **order(price="60000.123456"))


def _refused_for_its_shape(desk: Desk) -> None:
    desk.planted(RowKind.REFUSED, call="place", reason="price_precision", detail="", client_id=ours("a"))


def _decides_while_halted(desk: Desk) -> None:
    desk.checks.heard(_view(condition=AccountCondition.HALTED), desk.now, "life")
    desk.now += 3
    desk.checks.heard(_view(condition=AccountCondition.HALTED), desk.now, "life")
    desk.checks.heard(staged(intent(rule="x", action=Action.TAKE_PROFIT)), desk.now, "life")


def _shown_as_protected(desk: Desk) -> None:
    desk.checks.begun("life", desk.now)
    desk.checks.heard(_view(), desk.now, "life")
    desk.checks.disturb(1e9)
    desk.wait(130)


def _gone_and_nobody_told(desk: Desk) -> None:
    desk.checks.begun("life", desk.now)
    desk.wait(60)
    desk.checks.heard(_view(), desk.now, "life")
    desk.checks.disturb(1e9)
    desk.wait(60)
    desk.checks.gone("outage", 60.0, 120.0, desk.now)


def _tells_a_secret(desk: Desk) -> None:
    said = Said(account=MAIN, severity=Severity.INFO, edge="x", text="key s3cr3t", at=Instant(0, 0))
    desk.checks.heard(said, desk.now, "life")


def _cancels_all(desk: Desk) -> None:
    desk.asked("/contract/private/cancel-all-after")


def _closes_for_nothing(desk: Desk) -> None:
    desk.asked("/contract/private/position-v2", method="GET")
    desk.checks.heard(staged(intent()), desk.now, "life")


def _closes_what_it_never_read(desk: Desk) -> None:
    desk.wait(20, mark=56_000)
    desk.checks.heard(staged(intent()), desk.now, "life")


def _acts_again_too_soon(desk: Desk) -> None:
    for step in (0, 1):
        meant = intent(rule="trim", action=Action.REDUCE, step=step)
        desk.checks.heard(staged(meant), desk.now, "life")
        desk.close(10, of=meant)
        desk.now += 20


def _closes_for_ever(desk: Desk) -> None:
    for step in range(4):
        desk.checks.heard(staged(intent(step=step)), desk.now, "life")
        desk.now += 5


def _orders_above_its_leash(desk: Desk) -> None:
    for step in range(31):
        desk.checks.heard(staged(intent(rule="profit", action=Action.TAKE_PROFIT, step=step)), desk.now, "life")


def _reduces_above_its_leash(desk: Desk) -> None:
    for step in (0, 1):
        meant = intent(rule="trim", action=Action.REDUCE, step=step)
        desk.checks.heard(staged(meant), desk.now, "life")
        desk.close(60 - 10 * step, of=meant)
        desk.exchange.place("main", OrderRequest(symbol=BTC, side=Way.BUY, size=Decimal(50)), desk.ms)
        desk.now += 40
        desk.price(60_000)


def _fills_undecided(desk: Desk) -> None:
    desk.close(10)


def _asks_a_bucket_that_rests(desk: Desk) -> None:
    desk.asked("/contract/private/order", method="GET", status=429)
    desk.now += 1
    desk.asked("/contract/private/order", method="GET")


def _asks_behind_a_block(desk: Desk) -> None:
    for _ in range(12):
        desk.asked("/contract/private/order", method="GET", status=403)
        desk.now += 1


def _rounds_away(desk: Desk) -> None:
    desk.wait(20, mark=60_010)
    desk.stop("55190")


def _loose_at_the_end(desk: Desk) -> None:
    desk.stop("53000")
    desk.checks.close_of_story(desk.now)


def _its_stops_go_with_it(desk: Desk) -> None:
    placed = desk.stop("56000")
    desk.exchange.cancel_plan("main", placed, desk.ms)
    desk.checks.stopped(desk.now)


def _liquidated(desk: Desk) -> None:
    desk.exchange.place("main", OrderRequest(symbol=BTC, side=Way.BUY, size=Decimal(1_500)), desk.ms)
    desk.wait(20)
    desk.wait(3, mark=30_000)


@pytest.mark.parametrize(
    ("which", "plant"),
    [
        ("I1", _opens), ("I1", _two_closes_above_all), ("I1", _stop_above_all), ("I2", _enlarges), ("I3", _ends_its_stop),
        ("I4", _stop_through_the_mark), ("I5", _three_stops), ("I5", _bare_at_the_end), ("I6", _outlives), ("I7", _twice),
        ("I7", _again_without_a_read),
        ("I7", _means_it_again_without_a_look),
        ("I10", _held_in_breach), ("I10", _bare), ("I10", _half_covered), ("I11", _loosened),
        ("I11", _leaves_what_a_fired_stop_left),
        ("I12", _too_many_calls), ("I13", _cancels_the_traders), ("I14", _the_later_decides), ("I15", _the_smaller_leg_alone),
        ("I16", _tops_up_above_its_cap), ("I17", _raises_leverage), ("I18", _off_the_tick), ("I18", _refused_for_its_shape),
        ("I22", _decides_while_halted), ("I21", _shown_as_protected), ("I21", _gone_and_nobody_told), ("I26", _tells_a_secret),
        ("I30", _cancels_all), ("I30", _closes_everything), ("I7", _again_after_a_time_out_of_the_venue),
        ("I29", _parks_for_nothing), ("oracle", _closes_for_nothing), ("I29", _closes_what_it_never_read),
        ("I24", _acts_again_too_soon), ("I24", _closes_for_ever), ("I24", _orders_above_its_leash),
        ("I24", _reduces_above_its_leash), ("I20", _fills_undecided), ("I12", _asks_a_bucket_that_rests),
        ("I12", _asks_behind_a_block), ("I18", _rounds_away), ("I5", _loose_at_the_end), ("I25", _its_stops_go_with_it),
        ("oracle", _liquidated),
    ],
)  # fmt: skip
def test_what_it_is_there_for_is_told(which: str, plant: Callable[[Desk], None]) -> None:
    desk = Desk()
    plant(desk)
    assert which in desk.told, desk.checks.breaches


@pytest.mark.parametrize(
    ("code", "arrives", "counts"),
    [("", False, False), ("", True, True), ("40200", True, True), ("40200", False, True)],
    ids=["never left", "arrived all the same", "refused", "refused, as it says, and never seen"],
)
def test_I24_an_order_that_never_left_is_none_of_those_in_a_minute(code: str, arrives: bool, counts: bool) -> None:
    """A read that must come first failed under maintenance, and each reduction of it was counted as sent."""
    desk = Desk()
    turned_away = Rejected(reason=Reason.NOT_SENT, code=code, text="what rests can't be read")
    for step in range(20):
        meant = intent(rule="profit", action=Action.TAKE_PROFIT, step=step)
        desk.checks.heard(staged(meant), desk.now, "life")
        if arrives:
            desk.asked(body=f'{{"client_order_id": "{meant.id}"}}')
        desk.checks.heard(staged(meant, Stage.REJECTED, turned_away), desk.now, "life")
        desk.now += 1
    for step in range(20, 50):
        desk.checks.heard(staged(intent(rule="profit", action=Action.TAKE_PROFIT, step=step)), desk.now, "life")
    assert ("I24" in desk.told) is counts, desk.checks.breaches
    desk.checks.heard(staged(intent(rule="profit", action=Action.TAKE_PROFIT, step=50)), desk.now, "life")
    assert "I24" in desk.told


@pytest.mark.parametrize(("later_s", "too_many"), [(20, False), (61, True)])
def test_I24_what_was_void_gives_back_its_own_place_and_no_later_one(later_s: int, too_many: bool) -> None:
    desk = Desk()
    lost = intent(rule="profit", action=Action.TAKE_PROFIT)
    desk.checks.heard(staged(lost), desk.now, "life")
    desk.now += later_s - 1
    desk.checks.heard(staged(lost, Stage.VOID), desk.now, "life")
    desk.now += 1
    for step in range(1, 32 if too_many else 31):
        desk.checks.heard(staged(intent(rule="profit", action=Action.TAKE_PROFIT, step=step)), desk.now, "life")
    assert ("I24" in desk.told) is too_many, desk.checks.breaches


def test_I22_a_write_of_an_observed_account_is_told(tmp_path: Path) -> None:
    desk = Desk(acts=False)
    _journal(tmp_path)
    request = WireRequest(method="POST", url="http://x/contract/private/submit-order", headers={}, body=b"{}")
    desk.checks.leaving(request, tmp_path, desk.now)
    assert "I22" in desk.told


def test_I20_a_write_whose_intent_is_not_on_the_disk_is_told(tmp_path: Path) -> None:
    desk = Desk()
    _journal(tmp_path, intent())
    for step in (0, 1):
        body = f'{{"client_order_id":"{intent(step=step).id}"}}'.encode()
        request = WireRequest(method="POST", url="http://x/contract/private/submit-order", headers={}, body=body)
        desk.checks.leaving(request, tmp_path, desk.now)
        assert ("I20" in desk.told) is (step == 1)


@pytest.mark.parametrize("wrong", ["", "chain", "inputs", "id", "secret"])
def test_I20_I26_a_journal_that_does_not_hold_together_is_told(tmp_path: Path, wrong: str) -> None:
    desk = Desk()
    meant = {
        "inputs": intent(loss="-0.01"),
        "id": replace(intent(), step=3),
        "secret": intent(reason="s3cr3t"),
    }.get(wrong, intent())
    _journal(tmp_path, meant, spoil="UPDATE record SET hash = 'x'" if wrong == "chain" else "")
    desk.checks.process_ended(tmp_path, desk.now)
    assert desk.told == {"": set(), "secret": {"I26"}}.get(wrong, {"I20"})


def test_what_a_standing_fault_excuses_is_not_told_and_everything_else_is() -> None:
    desk = Desk()
    desk.checks.spans.append(Span(kind="x", from_s=0.0, until_s=10.0, excuses=frozenset({"I1"})))
    _opens(desk)
    _twice(desk)
    assert desk.told == {"I7"}


def _opened_anew(policy: str) -> Desk:
    """The desk's long is closed, and half a minute later a larger one opened."""
    desk = Desk()
    desk.stop("50000")
    desk.checks.begun("life", desk.now)
    read = load_policy(policy, source="policy.yaml")
    desk.checks.case = Case(account="main", venue=SimulatedVenue.BITMART, policy=read, acts=True)
    desk.exchange.place("main", OrderRequest(symbol=BTC, side=Way.SELL, size=Decimal(100), reduce=True), desk.ms)
    desk.wait(30)
    desk.asked("/contract/private/position-v2", method="GET")
    desk.exchange.place("main", OrderRequest(symbol=BTC, side=Way.BUY, size=Decimal(1_500)), desk.ms)
    return desk


def test_a_rule_that_is_true_at_first_sight_and_acts_at_once_is_told() -> None:
    desk = _opened_anew(FIRST_SIGHT)
    desk.wait(3)
    desk.checks.heard(staged(intent(rule="trim", action=Action.REDUCE)), desk.now, "life")
    assert "oracle" in desk.told
    assert any("true ever since" in line for line in desk.checks.breaches)


def test_a_profit_that_was_not_there_at_the_opening_calls_for_its_harvest_however_soon_it_came() -> None:
    desk = _opened_anew(HARVEST)
    desk.price(60_000)
    desk.wait(3, mark=70_000)
    desk.checks.heard(staged(intent(rule="trim", action=Action.REDUCE)), desk.now, "life")
    assert "oracle" not in desk.told


def test_I07_what_the_venue_refused_by_its_code_may_go_again_at_once() -> None:
    desk = Desk()
    _goes_twice(desk, code="40008")
    assert desk.checks.breaches == []


def test_I28_a_close_on_a_price_that_was_true_a_moment_ago_is_called_for() -> None:
    desk = Desk()
    desk.stop("50000")
    desk.asked("/contract/private/position-v2", method="GET")
    desk.wait(2, mark=56_500)
    desk.wait(10)
    desk.checks.heard(staged(intent()), desk.now, "life")
    assert desk.told == set()
    desk.wait(30)
    desk.checks.heard(staged(intent(step=1)), desk.now, "life")
    assert desk.told == {"oracle"}


@pytest.mark.parametrize(("frames", "told"), [(1, {"oracle"}), (2, set())])
def test_I28_two_bad_frames_confirm_each_other_even_between_two_looks(frames: int, told: set[str]) -> None:
    desk = Desk()
    desk.stop("50000")
    desk.asked("/contract/private/position-v2", method="GET")
    switches = Faults()
    switches.add(FaultKind.BAD_TICK)
    assert desk.checks.case is not None
    served = cast(SimulatorServer, SimpleNamespace(faults=switches))
    desk.checks.case = replace(desk.checks.case, server=served)
    desk.wait(2)
    for _ in range(frames):
        switches.strikes(FaultKind.BAD_TICK, desk.ms)
    desk.checks.heard(staged(intent()), desk.now, "life")
    assert desk.told == told


def test_I11_a_tranche_may_be_resized_beside_one_that_a_hand_cancelled_and_not_beside_one_that_the_guard_took() -> None:
    for by_hand in (True, False):
        desk = Desk()
        desk.checks.orders.tranches = 2
        near, far = desk.stop("58000", size=25), desk.stop("56000", step=1, size=75)
        if by_hand:
            desk.exchange.cancel_plan("main", near, desk.ms)
            desk.price(60_000)
        else:
            desk.cancel(near)
        desk.exchange.modify_plan("main", far, desk.ms, trigger_price=Decimal(56_000), size=Decimal(100))
        desk.asked("/contract/private/modify-tp-sl-order")
        assert desk.told == (set() if by_hand else {"I11"})


@pytest.mark.parametrize(("seconds", "told"), [(1, False), (20, True)])
def test_what_others_orders_kept_of_a_stop_is_liquidated_unavoidably_only_before_it_can_be_finished(
    seconds: int, *, told: bool
) -> None:
    desk = Desk()
    desk.exchange.place("main", OrderRequest(symbol=BTC, side=Way.BUY, size=Decimal(1_500)), desk.ms)
    desk.stop("58000", size=None)
    asked = OrderRequest(
        symbol=BTC, side=Way.SELL, size=Decimal(1_400), reduce=True, kind=OrderKind.LIMIT, price=Decimal(70_000)
    )
    desk.exchange.place("main", asked, desk.ms)
    desk.wait(20)
    desk.wait(1, mark=57_900)
    desk.wait(seconds, mark=30_000 if seconds == 1 else 57_900)
    desk.price(30_000)
    assert desk.checks.liquidations
    assert any("avoidable" in line for line in desk.checks.breaches) is told


@pytest.mark.parametrize(("mark", "told"), [(57_900, set()), (58_100, {"oracle"})], ids=["passed", "not reached"])
def test_a_stop_that_a_hand_cancelled_has_fired_for_a_guard_also_when_another_ended_since(
    mark: int, told: set[str]
) -> None:
    desk = Desk()
    desk.checks.orders.tranches = 2
    near, far = desk.stop("58000", size=50), desk.stop("56000", step=1, size=50)
    desk.exchange.cancel_plan("main", near, desk.ms)
    desk.price(60_000)
    desk.exchange.cancel_plan("main", far, desk.ms)
    desk.price(mark)
    reduces = intent(
        rule="rest/stop_loss/0/finish", action=Action.REDUCE, reason="stop 1 fired 1.5 s ago and left a rest"
    )
    desk.checks.heard(staged(reduces), desk.now, "life")
    assert desk.told == told


@pytest.mark.parametrize(
    ("tranche", "trigger", "size", "by_hand", "told"),
    [
        (1, "56000", 70, True, set()),
        (1, "56100", 70, True, set()),
        (1, "55900", 70, True, {"I11"}),
        (0, "58000", 25, True, set()),
        (0, "57900", 25, True, {"I11"}),
        (1, "56000", 70, False, {"I11"}),
    ],
)
def test_I11_beside_one_that_a_hand_cancelled_a_tranche_is_held_against_where_it_lay_itself(
    tranche: int, trigger: str, size: int, *, by_hand: bool, told: set[str]
) -> None:
    """Where an order can't be re-sized, another is placed before it ends; a user's may stand in for the one that was cancelled."""
    desk = Desk()
    desk.checks.orders.tranches = 2
    near = _means_stop(desk, 0, "58000", size=25)
    _means_stop(desk, 1, "56000", size=75)
    if by_hand:
        desk.exchange.cancel_plan("main", near, desk.ms)
        desk.price(60_000)
    else:
        desk.cancel(near)
    _means_stop(desk, tranche, trigger, size=size, step=1)
    assert desk.told == told


def _means_stop(desk: Desk, tranche: int, trigger: str, *, size: int, step: int = 0) -> str:
    """The guard tells what it means, then places it."""
    meant = intent(rule=f"resting-protection/stop_loss/{tranche}", action=Action.STOP_LOSS, step=step)
    write = PlaceProtection(
        key=meant.key,
        kind=ProtectionKind.STOP_LOSS,
        form=PlanForm.SIZED,
        trigger_price=Decimal(trigger),
        price_type=PriceType.MARK,
        size=Decimal(size),
        position_size=Decimal(100),
        leverage=None,
        margin_mode=HeldIn.CROSS,
    )
    desk.checks.heard(staged(replace(meant, write=write)), desk.now, "life")
    return desk.stop(trigger, size=size, client=f"{meant.id}-sp")


def test_I28_a_close_of_what_has_just_ended_is_judged_by_the_marks_that_went_on() -> None:
    """Its stop closed it at the exchange before the guard could hear of it, and the price fell on."""
    desk = Desk()
    desk.stop("58000", size=None)
    desk.asked("/contract/private/position-v2", method="GET")
    desk.wait(2, mark=57_500)
    assert not list(desk.checks.ground.held())
    desk.wait(1, mark=56_000)
    desk.wait(2)
    desk.checks.heard(staged(intent()), desk.now, "life")
    assert desk.told == set()


def test_I05_a_plan_order_in_favour_takes_profit_whatever_its_form() -> None:
    desk = Desk()
    desk.checks.orders.profits = 2
    desk.stop("56000")
    for step, trigger in enumerate((62_000, 64_000)):
        asked = PlanRequest(
            symbol=BTC,
            kind=PlanKind.CONDITIONAL,
            side=Way.SELL,
            reduce=True,
            trigger_price=Decimal(trigger),
            direction=Direction.RISE,
            size=Decimal(25),
            client_id=ours(f"profit/{step}"),
        )
        desk.exchange.place_plan("main", asked, desk.ms)
        desk.asked("/contract/private/submit-plan-order")
    assert desk.told == set()


def test_I15_a_close_is_one_step_however_many_slices_the_book_gives_it() -> None:
    """The net side of a hedge, closed whole: as much is left the other way, and no more."""
    desk = Desk()
    desk.exchange.place("main", OrderRequest(symbol=BTC, side=Way.SELL, size=Decimal(50)), desk.ms)
    desk.price(60_000)
    desk.exchange.set_fills(FillModel(slices=4), symbol=BTC)
    desk.close(100)
    desk.wait(2)
    assert [key[1].value for key, _ in desk.checks.ground.held()] == ["short"]
    assert "I15" not in desk.told


@pytest.mark.parametrize(("mark", "told"), [(57_500, set()), (60_000, {"I10"})])
def test_I10_a_tranche_whose_price_the_mark_is_through_cannot_rest(mark: int, told: set[str]) -> None:
    desk = Desk()
    policy = load_policy(LADDER, source="policy.yaml")
    desk.checks.case = Case(account="main", venue=SimulatedVenue.BITMART, policy=policy, acts=True)
    desk.price(mark)
    desk.stop("56400", size=50)
    desk.wait(30, mark=mark)
    assert desk.told == told


def test_I11_what_was_opened_in_the_instant_in_which_a_stop_fired_is_nothing_that_it_left() -> None:
    desk = Desk()
    desk.stop("58000", size=None)
    entry = OrderRequest(symbol=BTC, side=Way.BUY, size=Decimal(40), kind=OrderKind.LIMIT, price=Decimal(59_000))
    desk.exchange.place("main", entry, desk.ms)
    desk.wait(30, mark=57_900)
    assert [position.size for _, position in desk.checks.ground.held()] == [Decimal(40)]
    assert "I11" not in desk.told


@pytest.mark.parametrize(("blocked", "told"), [(False, {"I15"}), (True, set())])
def test_I15_a_leg_that_was_opened_while_a_block_held_the_reads_back_is_not_known(
    blocked: bool, told: set[str]
) -> None:
    desk = Desk()
    desk.exchange.place("main", OrderRequest(symbol=BTC, side=Way.SELL, size=Decimal(200), reduce=False), desk.ms)
    desk.price(60_000)
    if blocked:
        desk.checks.spans.append(Span(kind="cloudflare-403", from_s=desk.now - 1, until_s=desk.now + 10))
    desk.wait(5)
    desk.exchange.place("main", OrderRequest(symbol=BTC, side=Way.BUY, size=Decimal(90)), desk.ms)
    desk.wait(1)
    desk.close(100)
    assert desk.told & {"I15"} == told


def test_I04_a_stop_that_was_clear_by_the_marks_of_a_moment_ago_is_no_breach() -> None:
    """In cross the mark of another contract moves the end of this one, while the order is on its way."""
    for since_s, told in ((1, set()), (30, {"I4"})):
        desk = Desk()
        desk.exchange.move(ETH, mark=Decimal(3_000), now_ms=desk.ms)
        desk.exchange.place("main", OrderRequest(symbol=ETH, side=Way.SELL, size=Decimal(4_000)), desk.ms)
        desk.wait(20)
        desk.exchange.move(ETH, mark=Decimal(5_100), now_ms=desk.ms)
        desk.wait(since_s)
        desk.checks.breaches.clear()
        desk.stop("40000")
        assert {line for line in desk.told if line == "I4"} == told


def test_I09_what_a_guard_cannot_read_it_may_still_close_after_everything_is_flat() -> None:
    """A block holds the reads back: the last confirmed quantity serves, by the marks of now."""
    desk = Desk()
    desk.stop("50000")
    desk.asked("/contract/private/position-v2", method="GET")
    desk.wait(5)
    desk.checks.spans.append(Span(kind="cloudflare-403", from_s=desk.now, until_s=desk.now + 10))
    desk.exchange.place("main", OrderRequest(symbol=BTC, side=Way.SELL, size=Decimal(100), reduce=True), desk.ms)
    desk.wait(60)
    desk.wait(1, mark=56_000)
    desk.wait(1)
    desk.checks.heard(staged(intent()), desk.now, "life")
    assert "oracle" not in desk.told


@pytest.mark.parametrize(
    ("read_after_its_end", "late", "told"),
    [(False, 3, set()), (False, 4, {"I12"}), (True, 2, set()), (True, 3, {"I12"})],
)
def test_I12_what_ended_behind_a_block_may_be_closed_there_until_a_read_says_that_it_is_flat(
    read_after_its_end: bool, late: int, told: set[str]
) -> None:
    """One close for it beside the probe and the retry, and no more."""
    desk = Desk()

    def ends() -> None:
        desk.exchange.place("main", OrderRequest(symbol=BTC, side=Way.SELL, size=Decimal(100), reduce=True), desk.ms)
        desk.wait(1)

    if read_after_its_end:
        ends()
    desk.asked("/contract/private/position-v2", method="GET")
    desk.wait(1)
    desk.asked("/contract/private/position-v2", method="GET", status=403)
    if not read_after_its_end:
        ends()
    desk.wait(5)
    for _ in range(late):
        desk.wait(1)
        desk.asked(status=403)
    assert desk.told & {"I12"} == told


def _journal(data: Path, *meant: Intent, spoil: str = "") -> None:
    store = open_store(data / FILE_NAME)
    store.append([Meant(intent=each) for each in meant])
    if spoil:
        store._db.execute(spoil)
    store.close()


def _view(*, condition: AccountCondition = AccountCondition.LIVE) -> AccountView:
    position = PositionView(
        key=PositionKey(MAIN, Symbol(BTC), Side.LONG), margin_mode="cross", leverage=Decimal(10), quantity=Decimal(100),
        entry_price=Decimal(60_000), mark_price=Decimal(60_000), liquidation_price=Absent.NONE,
        own_liquidation_price=Absent.NONE, liquidation_drift=Absent.NONE, distance_to_liquidation=Absent.NONE,
        notional=Absent.UNKNOWN, unrealized_pnl=Absent.UNKNOWN, protected=True, protection_note="", unprotected_s=0.0,
        stop_loss=None, take_profit=None, next_rule=None, next_rule_at=Absent.NONE,
    )  # fmt: skip
    return AccountView(
        account=MAIN, venue=VenueName("bitmart"), mode="enforce", condition=condition, condition_why="", currency="USDT",
        equity=Decimal(1), margin_ratio=Decimal(0), protected_notional_ratio=Decimal(1), venue_closing=False,
        positions=(position,), unguarded=(), at=Instant(0, 0),
    )  # fmt: skip
