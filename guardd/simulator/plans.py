"""Plan orders: placing, changing, triggering. A triggered plan becomes an ordinary order that names it."""

from decimal import Decimal

from msgspec.structs import replace

from guardd.simulator import admission, closing, matching, telling
from guardd.simulator.accounts import ZERO, Account, Position
from guardd.simulator.contracts import ContractStatus
from guardd.simulator.happenings import PlanAction
from guardd.simulator.orders import (
    Direction,
    Order,
    OrderKind,
    OrderRequest,
    Plan,
    PlanKind,
    PlanRequest,
    PlanStatus,
    PositionSide,
    Preset,
    PriceSource,
    Side,
)
from guardd.simulator.records import Quote
from guardd.simulator.refusals import RefusalReason, Refused
from guardd.simulator.terms import Oversized, RestingCloses, VenueState
from guardd.simulator.world import Market, World

POSITION_KINDS = (PlanKind.STOP_LOSS, PlanKind.TAKE_PROFIT)


def place(world: World, account: Account, request: PlanRequest) -> Plan:
    """Check and rest a plan order. Raises `Refused`."""
    market = admission.open_market(world, request.symbol, reduce=request.reduce)
    if world.state is VenueState.CLOSES_ONLY:
        raise Refused(RefusalReason.VENUE_CLOSING, "the venue takes no plan orders")
    _check_form(market, request)
    admission.check_client_id(world, account, request.client_id)
    admission.check_settings(account, request)
    _check_room(world, account, request)
    _check_pair(account, request)
    direction = _direction(request)
    _check_trigger(world, market, request.kind, request.source, direction, request.trigger_price)
    if request.kind in POSITION_KINDS:
        _check_position(world, account, request)
    if request.kind in POSITION_KINDS and request.size is None:
        _make_room(world, account, request)
    plan = _build(world, account, request, direction, parent_order_id="")
    return _rest(world, account, plan)


def modify(
    world: World,
    account: Account,
    plan: Plan,
    *,
    trigger_price: Decimal | None = None,
    source: PriceSource | None = None,
    limit_price: Decimal | None = None,
    size: Decimal | None = None,
) -> Plan:
    """Change a live plan in place; what is None stays. Raises `Refused`, and then nothing has changed."""
    market = admission.open_market(world, plan.symbol, reduce=plan.reduce)
    contract = market.contract
    changed = replace(
        plan,
        trigger_price=plan.trigger_price if trigger_price is None else trigger_price,
        source=source or plan.source,
        limit_price=plan.limit_price if limit_price is None else limit_price,
        size=plan.size if size is None else size,
        updated_ms=world.now_ms,
    )
    admission.check_price(contract, changed.trigger_price)
    if changed.limit_price is not None:
        admission.check_price(contract, changed.limit_price)
    if size is not None:
        admission.check_size(contract, size, contract.max_limit_size)
        position = account.positions.get((plan.symbol, plan.position_side))
        if world.terms.sized_plans_share and plan.kind in POSITION_KINDS and position is not None:
            _check_share(world, account, plan.kind, position, size, plan.plan_id)
    _check_trigger(world, market, plan.kind, changed.source, plan.direction, changed.trigger_price)
    account.plans[plan.plan_id] = changed
    telling.tell_plan(world, account, PlanAction.MODIFIED, changed)
    return changed


def cancel(world: World, account: Account, plan: Plan) -> Plan:
    return _finish(world, account, plan, PlanAction.CANCELLED, PlanStatus.CANCELLED)


def trigger_due(world: World, account: Account, market: Market) -> None:
    """Execute every plan of this contract whose price has come, oldest first."""
    quote = market.prices()
    for seen in account.plans_of(market.contract.symbol):
        plan = account.plans.get(seen.plan_id)
        if plan is None:
            continue
        price = _price(quote, plan.source)
        if plan.kind is PlanKind.TRAILING:
            plan = _trail(world, account, plan, price)
        if _fires(plan, price):
            _execute(world, account, market, plan)


def attach_presets(world: World, account: Account, order: Order) -> None:
    """Let the TP/SL that an opening order brought along cover what it has filled so far."""
    wanted = ((PlanKind.STOP_LOSS, order.stop_loss), (PlanKind.TAKE_PROFIT, order.take_profit))
    for kind, preset in wanted:
        if preset is None:
            continue
        siblings = [plan for plan in account.plans.values() if plan.parent_order_id == order.order_id]
        resting = next((plan for plan in siblings if plan.kind is kind), None)
        if resting is None:
            pair_id = siblings[0].pair_id if siblings and world.terms.linked_presets else ""
            _rest(world, account, _build_preset(world, account, order, kind, preset, pair_id))
            continue
        grown = replace(
            resting,
            size=order.filled,
            trigger_price=preset.trigger_price,
            source=preset.source,
            limit_price=preset.limit_price,
            updated_ms=resting.updated_ms,
        )
        if grown != resting:
            grown = replace(grown, updated_ms=world.now_ms)
            account.plans[grown.plan_id] = grown
            telling.tell_plan(world, account, PlanAction.MODIFIED, grown)


def sweep(world: World, account: Account) -> None:
    """Cancel TP/SL whose position is gone (a venue option)."""
    for plan in list(account.plans.values()):
        if plan.kind in POSITION_KINDS and not account.held(plan.symbol, plan.position_side):
            cancel(world, account, plan)


def trading(world: World, market: Market) -> bool:
    """Are orders matched and plans triggered now? Marks and liquidations go on regardless."""
    return (
        world.state is not VenueState.MAINTENANCE
        and market.status is ContractStatus.TRADING
        and market.quote is not None
    )


def _check_form(market: Market, request: PlanRequest) -> None:
    contract = market.contract
    admission.check_price(contract, request.trigger_price)
    if request.limit_price is not None:
        admission.check_price(contract, request.limit_price)
    for preset in (request.take_profit, request.stop_loss):
        if preset is not None:
            admission.check_preset(contract, preset)
    position_bound = request.kind in POSITION_KINDS
    if request.size is not None:
        admission.check_size(contract, request.size, contract.max_limit_size)
    elif not position_bound:
        raise Refused(RefusalReason.PARAMETER_INVALID, f"a {request.kind.value} plan needs a size")
    if position_bound and not request.reduce:
        raise Refused(RefusalReason.PARAMETER_INVALID, f"a {request.kind.value} plan closes; it cannot open")
    if request.kind is PlanKind.CONDITIONAL and request.direction is None:
        raise Refused(RefusalReason.PARAMETER_INVALID, "a conditional plan must say from which direction it fires")
    callback = request.callback_rate
    if request.kind is PlanKind.TRAILING and (callback is None or not 0 < callback < 1):
        raise Refused(RefusalReason.PARAMETER_INVALID, f"callback rate {callback} is not between 0 and 1")


def _check_room(world: World, account: Account, request: PlanRequest) -> None:
    if len(account.plans_of(request.symbol)) >= world.terms.max_plans_per_symbol:
        raise Refused(RefusalReason.TOO_MANY_PLANS, f"{request.symbol} has {world.terms.max_plans_per_symbol} plans")


def _check_pair(account: Account, request: PlanRequest) -> None:
    """A pair is of one contract and one leg, and begins with the plan that was placed first."""
    if not request.pair_id:
        return
    everything = (*account.plans.values(), *account.finished_plans.values())
    pair = [plan for plan in everything if plan.pair_id == request.pair_id]
    if not any((plan.symbol, plan.position_side) == (request.symbol, request.position_side) for plan in pair):
        raise Refused(RefusalReason.PARAMETER_INVALID, f"no plan {request.pair_id} to be linked with")
    if any(plan.status in (PlanStatus.TRIGGERED, PlanStatus.FAILED) for plan in pair):
        raise Refused(RefusalReason.ORDER_FINISHED, f"plan {request.pair_id} has fired")


def _check_position(world: World, account: Account, request: PlanRequest) -> None:
    """There is something to protect, known already, and not smaller than what its sized plans cover."""
    position = account.positions.get((request.symbol, request.position_side))
    if position is None:
        raise Refused(RefusalReason.POSITION_NOT_EXIST, f"no {request.position_side.value} position to protect")
    if world.now_ms - position.grown_ms < world.terms.plans_blind_ms:
        raise Refused(RefusalReason.POSITION_NOT_READY, f"the position was opened at {position.grown_ms} only")
    if request.size is not None:
        _check_share(world, account, request.kind, position, request.size)


def _check_share(
    world: World, account: Account, kind: PlanKind, position: Position, size: Decimal, but: str = ""
) -> None:
    """A sized plan fits the position; with the others of its kind, where the terms say so."""
    others = (
        plan.size
        for plan in account.plans_of(position.symbol)
        if plan.kind is kind and plan.position_side is position.side and plan.size is not None and plan.plan_id != but
    )
    taken = sum(others, ZERO) if world.terms.sized_plans_share else ZERO
    if size + taken > position.size:
        raise Refused(
            RefusalReason.VOLUME_NOT_ENOUGH, f"plan of {size} against {position.size} held, {taken} of it taken"
        )


def _make_room(world: World, account: Account, request: PlanRequest) -> None:
    """One whole-position plan of a kind and leg: a second one is refused, or takes the place of the first."""
    for other in account.plans_of(request.symbol):
        same = other.whole_position and other.position_side is request.position_side
        if not same or other.kind is not request.kind or other.plan_id not in account.plans:
            continue
        if world.terms.position_plan_replaces:
            for plan in linked(account, other):
                cancel(world, account, plan)
        elif world.terms.one_position_plan_per_kind:
            raise Refused(RefusalReason.PLAN_EXISTS, f"a whole-position {request.kind.value} rests already")


def linked(account: Account, plan: Plan) -> list[Plan]:
    """Every live plan of this one's pair, itself included."""
    return [other for other in account.plans.values() if other.pair_id == plan.pair_id]


def _check_trigger(
    world: World, market: Market, kind: PlanKind, source: PriceSource, direction: Direction, trigger: Decimal
) -> None:
    """TP/SL must lie beyond the price they watch (long TP > price > SL); nothing may lie absurdly far."""
    price = _price(market.prices(), source)
    beyond = trigger > price if direction is Direction.RISE else trigger < price
    if kind in POSITION_KINDS and not beyond:
        raise Refused(
            RefusalReason.TRIGGER_WRONG_SIDE,
            f"{kind.value} at {trigger} would have to {direction.value} from {source.value} {price}",
        )
    if abs(trigger - price) > price * world.terms.max_trigger_distance:
        raise Refused(RefusalReason.TRIGGER_TOO_FAR, f"trigger {trigger} is too far from {price}")


def _direction(request: PlanRequest) -> Direction:
    long = request.position_side is PositionSide.LONG
    match request.kind:
        case PlanKind.STOP_LOSS:
            return Direction.FALL if long else Direction.RISE
        case PlanKind.TAKE_PROFIT:
            return Direction.RISE if long else Direction.FALL
        case PlanKind.TRAILING:
            return Direction.FALL if request.side is Side.SELL else Direction.RISE
        case PlanKind.CONDITIONAL:
            if request.direction is None:
                raise Refused(RefusalReason.PARAMETER_INVALID, "a conditional plan needs a direction")
            return request.direction


def _build(world: World, account: Account, request: PlanRequest, direction: Direction, *, parent_order_id: str) -> Plan:
    settings = account.settings_of(request.symbol)
    plan_id = world.new_id()
    return Plan(
        plan_id=plan_id,
        pair_id=request.pair_id or plan_id,
        client_id=request.client_id,
        uid=account.uid,
        symbol=request.symbol,
        kind=request.kind,
        side=request.side,
        reduce=request.reduce,
        trigger_price=request.trigger_price,
        source=request.source,
        direction=direction,
        size=request.size,
        limit_price=request.limit_price,
        time_in_force=request.time_in_force,
        leverage=settings.leverage(request.position_side),
        margin_mode=settings.margin_mode,
        position_mode=world.mode_of(account, request.symbol),
        callback_rate=request.callback_rate,
        extreme=None,
        take_profit=request.take_profit,
        stop_loss=request.stop_loss,
        parent_order_id=parent_order_id,
        status=PlanStatus.LIVE,
        order_id="",
        failure=None,
        created_ms=world.now_ms,
        updated_ms=world.now_ms,
    )


def _build_preset(world: World, account: Account, order: Order, kind: PlanKind, preset: Preset, pair_id: str) -> Plan:
    request = PlanRequest(
        symbol=order.symbol,
        kind=kind,
        side=order.position_side.closing,
        reduce=True,
        trigger_price=preset.trigger_price,
        source=preset.source,
        size=order.filled,
        limit_price=preset.limit_price,
        pair_id=pair_id,
    )
    return _build(world, account, request, _direction(request), parent_order_id=order.order_id)


def _rest(world: World, account: Account, plan: Plan) -> Plan:
    account.plans[plan.plan_id] = plan
    if plan.client_id:
        account.client_ids.add(plan.client_id)
    telling.tell_plan(world, account, PlanAction.PLACED, plan)
    return plan


def _finish(
    world: World,
    account: Account,
    plan: Plan,
    action: PlanAction,
    status: PlanStatus,
    *,
    order_id: str = "",
    failure: RefusalReason | None = None,
) -> Plan:
    plan = replace(plan, status=status, order_id=order_id, failure=failure, updated_ms=world.now_ms)
    account.plans.pop(plan.plan_id, None)
    account.finished_plans[plan.plan_id] = plan
    telling.tell_plan(world, account, action, plan)
    return plan


def _price(quote: Quote, source: PriceSource) -> Decimal:
    return quote.mark if source is PriceSource.MARK else quote.last


def _trail(world: World, account: Account, plan: Plan, price: Decimal) -> Plan:
    """Follow the price with the extreme, once the activation price has been reached."""
    selling = plan.side is Side.SELL
    if plan.extreme is None:
        active = price >= plan.trigger_price if selling else price <= plan.trigger_price
        if not active:
            return plan
        plan = replace(plan, extreme=price, updated_ms=world.now_ms)
        telling.tell_plan(world, account, PlanAction.ACTIVATED, plan)
    best = max(plan.extreme or price, price) if selling else min(plan.extreme or price, price)
    plan = replace(plan, extreme=best)
    account.plans[plan.plan_id] = plan
    return plan


def _fires(plan: Plan, price: Decimal) -> bool:
    if plan.kind is PlanKind.TRAILING:
        if plan.extreme is None or plan.callback_rate is None:
            return False
        if plan.side is Side.SELL:
            return price <= plan.extreme * (1 - plan.callback_rate)
        return price >= plan.extreme * (1 + plan.callback_rate)
    return price >= plan.trigger_price if plan.direction is Direction.RISE else price <= plan.trigger_price


def _execute(world: World, account: Account, market: Market, plan: Plan) -> None:
    """Turn a plan into an order. One that can't be executed has failed, and is told so: it does not stay."""
    del account.plans[plan.plan_id]
    try:
        fault = world.plan_fault(plan) if world.plan_fault else None
        if fault is not None:
            raise Refused(fault, "injected")
        request = OrderRequest(
            symbol=plan.symbol,
            side=plan.side,
            reduce=plan.reduce,
            size=_size(world, account, plan),
            kind=OrderKind.MARKET if plan.limit_price is None else OrderKind.LIMIT,
            price=plan.limit_price,
            time_in_force=plan.time_in_force,
            take_profit=plan.take_profit,
            stop_loss=plan.stop_loss,
        )
        order = matching.submit(world, account, request, plan_id=plan.plan_id)
    except Refused as refusal:
        _finish(world, account, plan, PlanAction.FAILED, PlanStatus.FAILED, failure=refusal.reason)
    else:
        _finish(world, account, plan, PlanAction.TRIGGERED, PlanStatus.TRIGGERED, order_id=order.order_id)
    for other in linked(account, plan):
        cancel(world, account, other)


def _size(world: World, account: Account, plan: Plan) -> Decimal:
    """What a triggered plan executes: whole-position plans what resting closes leave to it, others their size."""
    if not plan.reduce:
        return plan.size or ZERO
    held = account.held(plan.symbol, plan.position_side)
    if not held:
        raise Refused(RefusalReason.POSITION_NOT_EXIST, "the position is gone")
    kind = OrderKind.MARKET if plan.limit_price is None else OrderKind.LIMIT
    displaces = closing.rule(world, account, plan.symbol, kind) is RestingCloses.DISPLACE
    free = held if displaces else held - account.frozen_size(plan.symbol, plan.position_side)
    too_large = plan.size is not None and plan.size > free and world.terms.oversized_plan is Oversized.FAIL
    if not free or too_large:
        raise Refused(RefusalReason.VOLUME_NOT_ENOUGH, f"{free} of {held} can be closed")
    return free if plan.size is None else min(plan.size, free)
