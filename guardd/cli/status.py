"""`guardd status`: what a running daemon sees."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, cast

import typer
from rich.text import Text

from guardd.cli.exits import Exit, guarded, talk
from guardd.cli.given import LOOKED_FOR, ConfigOption, JsonOption, settings_from
from guardd.cli.running import Document, NoDaemon, daemon_at, url_of
from guardd.cli.show import NOTHING, Json, print_json, print_line, print_table
from guardd.config import HttpSettings
from guardd.model.account import AccountCondition

COLUMNS: Final = (
    "symbol",
    "side",
    "margin",
    "contracts",
    "entry",
    "mark",
    "liquidation",
    "distance",
    "PnL",
    "stop",
    "take-profit",
    "protected",
    "next rule",
)


def status(
    config: ConfigOption = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="The daemon's address, instead of the settings'.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a running daemon sees: its accounts, positions and protection. Exit 69 where none answers."""
    guarded(lambda: asyncio.run(_status(_address(config, url), as_json=as_json)))


def _address(config: Path | None, url: str | None) -> str:
    """The given address, else that of the settings, else the one that a daemon has by default."""
    if url is not None:
        return url
    if config is None and not any(file.is_file() for file in LOOKED_FOR):
        default = HttpSettings()
        return f"http://{default.host}:{default.port}"
    return url_of(settings_from(config))


async def _status(url: str, *, as_json: bool) -> int:
    async with daemon_at(url) as daemon:
        try:
            document = await daemon.status()
            reasons = await daemon.not_ready()
        except NoDaemon as error:
            talk().print(Text(f"guardd: {error}"))
            talk().print(Text("to mend it: start one with `guardd run -c FILE`, or name its address with --url"))
            return Exit.UNREACHABLE
    if as_json:
        print_json(cast(Json, {**document, "not_ready": list(reasons)}))
    else:
        print_status(document)
        for reason in reasons:
            print_line(f"not ready: {reason}", style="yellow")
    return Exit.DONE


def print_status(document: Document, account: str | None = None) -> None:
    """All accounts of a /status document, or one."""
    halted = ", halted" if document.get("halted") else ""
    digest = str(document.get("policy_digest", ""))[:12]
    print_line(f"guardd {document.get('version')}, mode {document.get('mode')}{halted}, policy {digest}")
    for each in accounts_in(document):
        if account is None or each.get("name") == account:
            _print_account(each)


def accounts_in(document: Document) -> Sequence[Document]:
    return [each for each in _list(document.get("accounts")) if isinstance(each, Mapping)]


def positions_in(account: Document) -> Sequence[Document]:
    return [each for each in _list(account.get("positions")) if isinstance(each, Mapping)]


def _print_account(account: Document) -> None:
    state = str(account.get("state"))
    why = f" ({account['state_reason']})" if account.get("state_reason") else ""
    ratio = _share(account.get("margin_ratio"))
    family = f" ({account['family']})" if account.get("family") else ""
    print_line(
        f"account {account.get('name')}{family}: {state}{why}, mode {_text(account.get('mode'))}, equity "
        f"{_text(account.get('equity'))} {account.get('currency') or ''}, margin ratio {ratio}",
        style="bold" if state == AccountCondition.LIVE else "bold yellow",
    )
    balances = [each for each in _list(account.get("balances")) if isinstance(each, Mapping)]
    for balance in balances if len(balances) > 1 else ():
        own = _share(balance.get("margin_ratio"))
        print_line(f"equity {_text(balance.get('equity'))} {balance.get('currency')}, margin ratio {own}")
    positions = positions_in(account)
    for balance in balances:
        if balance.get("drawdown") is not None:
            print_line(f"{balance.get('currency')}: {_share(balance['drawdown'])} below the day's high")
        if balance.get("drawdown_reason"):
            print_line(f"{balance.get('currency')}: no drawdown: {balance['drawdown_reason']}", style="yellow")
        if balance.get("doubt") and positions:
            print_line(f"{balance.get('currency')}: {balance['doubt']}", style="yellow")
    if positions:
        print_table(f"positions of {account.get('name')}", COLUMNS, [_position_row(each) for each in positions])
    for unguarded in _list(account.get("unguarded")):
        if isinstance(unguarded, Mapping):
            print_line(f"unguarded: {unguarded.get('symbol')}, {unguarded.get('reason')}", style="bold red")


def _position_row(position: Document) -> Sequence[str | Text]:
    rule = position.get("next_rule")
    protected = position.get("protected") is True
    note = str(position.get("protection_note") or "no")
    return (
        _text(position.get("symbol")),
        _text(position.get("side")),
        f"{_text(position.get('margin_mode'))} {_text(position.get('leverage'))}x",
        _text(position.get("quantity")),
        _text(position.get("entry_price")),
        _text(position.get("mark_price")),
        _price(position.get("liquidation_price")),
        _share(position.get("distance_to_liquidation")),
        _text(position.get("unrealized_pnl")),
        _trigger(position.get("stop_loss")),
        _trigger(position.get("take_profit")),
        Text("yes", style="green") if protected else Text(note, style="bold red"),
        f"{rule.get('name')} at {_price(rule.get('at_mark_price'))}" if isinstance(rule, Mapping) else NOTHING,
    )


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return NOTHING if value is None else str(value)


def _price(value: object) -> str:
    """At most eight places: our own liquidation price has as many as its division gave."""
    whole, point, places = _text(value).partition(".")
    return whole + (point + places[:8]).rstrip("0").rstrip(".")


def _share(value: object) -> str:
    try:
        return f"{float(str(value)) * 100:.2f}%"
    except ValueError:
        return NOTHING


def _trigger(order: object) -> str:
    return _text(order.get("trigger_price")) if isinstance(order, Mapping) else NOTHING
