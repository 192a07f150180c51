"""`guardd policy explain`: a policy turned into prices, for positions that are given, saved or read from the accounts now.

A live read observes: it makes the reads that the daemon makes at its start and sends no write.
"""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from msgspec import Struct
from rich.text import Text

from guardd.cli.drawing import svg
from guardd.cli.exits import Exit, guarded, talk
from guardd.cli.explained import (
    Explained,
    Story,
    away_text,
    money_text,
    price_text,
    signed,
    stories,
    stories_json,
)
from guardd.cli.given import AccountOption, ConfigOption, JsonOption, accounts_of, settings_from
from guardd.cli.given_position import FEE, Given, GivenAccount, read_snapshot, state_of
from guardd.cli.look import window_on, world_of
from guardd.cli.picture import picture
from guardd.cli.show import NOTHING, Json, page, print_json, print_line, print_table
from guardd.cli.sketch import sketch
from guardd.clock import SystemClock
from guardd.config import Secrets, Settings
from guardd.daemon.wiring import policy_from
from guardd.errors import ConfigurationError
from guardd.model.instant import Instant
from guardd.model.names import MarginMode, Side
from guardd.model.reading import is_value
from guardd.model.state import AccountState
from guardd.policy.language import Policy
from guardd.policy.triggers import When
from guardd.policy.walk import Kind, Step, Walk

Parsed = TypeVar("Parsed")
COLUMNS: Final = ("at mark", "from mark", "rule", "does, by itself", "gains or loses", "equity left", "left")
PERCENT: Final = "%"
GIVEN: Final = "given"


class Told(Struct, frozen=True, kw_only=True):
    """What a command line says about the position; empty: the accounts are read."""

    symbol: str | None
    venue: str
    side: str
    quantity: str | None
    entry: str | None
    mark: str | None
    leverage: str | None
    margin_mode: str
    margin: str | None
    equity: str | None
    liquidation: str | None
    contract_size: str | None
    tick: str | None
    step: str | None
    maintenance: str | None
    fee: str | None


class Read(Struct, frozen=True, kw_only=True):
    """One account to explain on."""

    state: AccountState
    now: Instant
    assumed: tuple[str, ...] = ()


def explain(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The policy; default: the settings' policy.")
    ] = None,
    config: ConfigOption = None,
    account: AccountOption = None,
    symbol: Annotated[str | None, typer.Option(help="With a quantity: the position given; else only this one.")] = None,
    venue: Annotated[str, typer.Option(help="Its venue, for rules that match one; --account names its account.")] = (
        "bitmart"
    ),
    side: Annotated[str, typer.Option(help="long or short.")] = "long",
    quantity: Annotated[str | None, typer.Option(help="Contracts.")] = None,
    entry: Annotated[str | None, typer.Option(help="Entry price.")] = None,
    mark: Annotated[str | None, typer.Option(help="Mark price; default: the entry.")] = None,
    leverage: Annotated[str | None, typer.Option(help="Such as 20.")] = None,
    margin_mode: Annotated[str, typer.Option(help="isolated or cross.")] = "isolated",
    margin: Annotated[
        str | None, typer.Option(help="Margin of an isolated position; default: the initial one.")
    ] = None,
    equity: Annotated[str | None, typer.Option(help="Equity of the account.")] = None,
    liquidation: Annotated[str | None, typer.Option(help="The venue's liquidation price.")] = None,
    contract_size: Annotated[str | None, typer.Option(help="Base coin per contract; quote coin of BTCUSD.")] = None,
    tick: Annotated[str | None, typer.Option(help="Smallest step of the price.")] = None,
    step: Annotated[str | None, typer.Option(help="Smallest step of the quantity.")] = None,
    maintenance: Annotated[str | None, typer.Option(help="Maintenance rate, such as 0.5%.")] = None,
    fee: Annotated[str | None, typer.Option(help="Taker fee, such as 0.06%.")] = None,
    snapshot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON of `guardd status --json` or `guardd check --json`.")
    ] = None,
    svg_file: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write the picture there.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show at which mark each rule fires, what it does there, and the way down and up. Sends no order."""
    told = Told(
        symbol=symbol,
        venue=venue,
        side=side,
        quantity=quantity,
        entry=entry,
        mark=mark,
        leverage=leverage,
        margin_mode=margin_mode,
        margin=margin,
        equity=equity,
        liquidation=liquidation,
        contract_size=contract_size,
        tick=tick,
        step=step,
        maintenance=maintenance,
        fee=fee,
    )
    guarded(lambda: _explain(file, config, account, told, snapshot, svg_file, as_json=as_json))


def _explain(
    file: Path | None,
    config: Path | None,
    account: str | None,
    told: Told,
    snapshot: Path | None,
    svg_file: Path | None,
    *,
    as_json: bool,
) -> int:
    live = told.quantity is None and snapshot is None
    settings = settings_from(config) if live or file is None else None
    path = settings.policy if file is None and settings is not None else file
    if path is None:
        raise ConfigurationError("no policy: name its file, or the settings with -c FILE")
    policy = policy_from(path)
    clock = SystemClock()
    if settings is not None and live:
        reads = asyncio.run(_read(settings, account, clock))
    elif snapshot is not None:
        reads = [_made(each, clock.now()) for each in read_snapshot(snapshot) if account in (None, each.name)]
    else:
        reads = [_made(_given(told, account), clock.now())]
    symbols = (told.symbol,) if told.symbol is not None else ()
    found = [story for read in reads for story in stories(policy, read.state, read.now, symbols)]
    assumed = tuple(text for read in reads for text in read.assumed)
    if svg_file is not None:
        svg_file.write_text(svg([picture(story) for story in found]), encoding="utf-8")
    if as_json:
        named: Json = {"source": policy.source, "digest": policy.digest}
        print_json({"policy": named, "assumed": list(assumed), "positions": stories_json(found)})
    else:
        _print(policy, found, assumed, svg_file)
    return Exit.DONE


def _made(account: GivenAccount, now: Instant) -> Read:
    made = state_of(account, now)
    return Read(state=made.state, now=now, assumed=made.assumed)


async def _read(settings: Settings, name: str | None, clock: SystemClock) -> list[Read]:
    """One look at each account, as `guardd check` makes it; the policy's accounts are matched by their names."""
    secrets, found = Secrets.of(settings), list[Read]()
    async with world_of(clock) as world:
        for account in accounts_of(settings, name):
            async with window_on(account, settings, secrets, world) as window:
                await window.measure_clock()
                await window.read()
                found.append(Read(state=window.state, now=clock.now()))
    return found


# What a command line says


def _given(told: Told, account: str | None) -> GivenAccount:
    if told.symbol is None or told.quantity is None or told.entry is None:
        raise typer.BadParameter("a given position needs --symbol, --quantity and --entry")
    given = Given(
        symbol=told.symbol,
        side=_one_of("--side", told.side, Side),
        quantity=_number("--quantity", told.quantity) or Decimal(0),
        entry=_number("--entry", told.entry) or Decimal(0),
        mark=_number("--mark", told.mark),
        leverage=_number("--leverage", told.leverage),
        margin_mode=_one_of("--margin-mode", told.margin_mode, MarginMode),
        margin=_number("--margin", told.margin),
        liquidation=_number("--liquidation", told.liquidation),
        contract_size=_number("--contract-size", told.contract_size),
        tick=_number("--tick", told.tick),
        step=_number("--step", told.step),
        maintenance_rate=_number("--maintenance", told.maintenance),
        fee=FEE if (fee := _number("--fee", told.fee)) is None else fee,
    )
    named = account if account is not None else GIVEN
    return GivenAccount(name=named, venue=told.venue, equity=_number("--equity", told.equity), positions=[given])


def _one_of(name: str, text: str, kind: Callable[[str], Parsed]) -> Parsed:
    try:
        return kind(text)
    except ValueError as error:
        raise typer.BadParameter(f"found {text!r}", param_hint=name) from error


def _number(name: str, text: str | None) -> Decimal | None:
    """Above zero; `0.5%` is 0.005."""
    if text is None:
        return None
    try:
        value = Decimal(text.removesuffix(PERCENT).strip())
    except InvalidOperation as error:
        raise typer.BadParameter(f"found {text!r}, expected a number", param_hint=name) from error
    if not value.is_finite() or value < 0 or (value == 0 and name != "--fee"):
        raise typer.BadParameter(f"found {text!r}, expected a number above zero", param_hint=name)
    return value / 100 if text.endswith(PERCENT) else value


# For people


def _print(policy: Policy, found: Sequence[Story], assumed: Sequence[str], svg_file: Path | None) -> None:
    print_line(f"policy {policy.source}: {len(policy.rules)} rules, digest {policy.digest}")
    if not found:
        print_line("no open position")
    for story in found:
        print_line("")
        print_line(story.title, style="bold")
        shown = picture(story)
        print_line(shown.subtitle)
        for line in sketch(shown):
            page().print(line, soft_wrap=True)
        print_table("what each rule does by itself", COLUMNS, [_row(each, story) for each in _sorted(story)])
        for index, way in enumerate(story.ways):
            _print_way(way, story, orders=index == 0)
    for text in assumed:
        print_line(f"assumed: {text}", style="yellow")
    if svg_file is not None:
        talk().print(f"the picture is in {svg_file}", highlight=False, markup=False)


def _sorted(story: Story) -> list[Explained]:
    """From above to below; what has no price comes last."""
    priced = sorted((each for each in story.found if each.trigger.at), key=lambda each: -(each.trigger.at or 0))
    return [*priced, *(each for each in story.found if each.trigger.at is None)]


def _row(each: Explained, story: Story) -> Sequence[str | Text]:
    trigger, step, tick = each.trigger, each.acts, story.view.instrument.tick
    where = price_text(trigger.at, tick) if trigger.at is not None else str(trigger.when)
    if trigger.when is When.NOW:
        where = "now"
    elif trigger.when is When.HELD:
        where = f"held, {where}" if trigger.at is not None else "held"
    away = away_text(trigger.at, story.view.risk.mark) if trigger.at is not None else NOTHING
    does = each.what if trigger.at is not None else f"{each.what}: {trigger.why}" if each.what else trigger.why
    cut = step.cut if step is not None else None
    cells = (
        where,
        away,
        str(trigger.rule),
        does,
        signed(cut.realised - cut.fee, story.currency) if cut is not None else NOTHING,
        money_text(step.equity, story.currency) if step and cut and is_value(step.equity) else NOTHING,
        f"{step.left:f}" if step is not None and cut is not None else NOTHING,
    )
    return tuple(Text(cell, style="" if each.reached else "dim") for cell in cells)


def _print_way(way: Walk, story: Story, *, orders: bool) -> None:
    """The walk, a line each; `orders`: with what is placed before it begins."""
    tick = story.view.instrument.tick
    print_line(f"a straight way {way.way} from {price_text(way.start, tick)}:", style="bold")
    for step in way.steps:
        if step.kind is Kind.REST and step.mark == way.start and not orders:
            continue
        print_line(f"  {_step_line(step, story)}", style="red" if step.kind is Kind.END else "")
    print_line(f"  {way.why} (at {price_text(way.end, tick)})" if way.steps else f"  {way.why}")


def _step_line(step: Step, story: Story) -> str:
    whose = "" if step.key == story.key else f"{step.key.symbol} {step.key.side}: "
    text = f"at {price_text(step.mark, story.view.instrument.tick)} {step.rule}: {whose}{step.text}"
    if step.cut is not None:
        text += f", {signed(step.cut.realised - step.cut.fee, step.cut.currency)}"
        if is_value(step.equity):
            text += f", equity {money_text(step.equity, story.currency)}"
        if step.left and is_value(step.liquidation):
            text += f", liquidation {price_text(step.liquidation, story.view.instrument.tick)}"
    return text
