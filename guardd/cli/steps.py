"""One operator's step at a venue: look, show, ask for CONFIRM, send once, show what is so after it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final, assert_never

from msgspec import Struct
from rich.text import Text

from guardd.cli.asking import confirmed
from guardd.cli.exits import Exit, talk
from guardd.cli.given import settings_from, the_account
from guardd.cli.holdings import holdings_json, print_holdings
from guardd.cli.look import Window, window_on, world_of
from guardd.cli.operators import operator_of
from guardd.cli.show import decimal_of, print_json, print_line
from guardd.clock import SystemClock
from guardd.config import AccountSettings, Secrets
from guardd.model.facts import Fact
from guardd.model.names import MarginMode, Symbol
from guardd.model.outcome import Accepted, Outcome, Reason, Rejected, Unknown
from guardd.venues.base import OperatorVenue

SETTLES_WITHIN_S: Final = 1.0
"""How long the venue is given before the state after a step is read."""
LIVE_DEADLINE_S: Final = 5.0
_OTHER_LEVERAGE: Final = (
    "mostly because the contract's leverage or margin mode is another one: `guardd account leverage SYMBOL` shows both, "
    "and without --leverage and --margin-mode an order takes them as they are"
)


class Desk(Struct, frozen=True, kw_only=True):
    """An account as its operator works on it: what the daemon can read, and what the daemon can't send."""

    account: AccountSettings
    window: Window
    operator: OperatorVenue

    async def live(self, symbol: Symbol) -> tuple[Decimal, MarginMode] | None:
        """Leverage and margin mode as they stand at the venue, a position or not; None where it doesn't say."""
        return await self.operator.live_leverage(symbol, LIVE_DEADLINE_S)

    async def live_line(self, symbol: Symbol) -> str:
        found = await self.live(symbol)
        return f"{symbol}: " + ("unknown" if found is None else f"{decimal_of(found[0])}x {found[1]}")


@asynccontextmanager
async def desk_of(config: Path | None, name: str | None) -> AsyncIterator[Desk]:
    """Raises what keeps one from reading the account; the account has been looked at when it is handed over."""
    settings = settings_from(config)
    account = the_account(settings, name)
    secrets = Secrets.of(settings)
    async with world_of(SystemClock()) as world, window_on(account, settings, secrets, world) as window:
        operator = operator_of(account, settings, secrets, world, _unheard)
        try:
            yield Desk(account=account, window=window, operator=operator)
        finally:
            await operator.close()


async def take(
    desk: Desk,
    what: str,
    step: Callable[[], Awaitable[Outcome]],
    *,
    confirm: str | None,
    as_json: bool,
    about: Symbol | None = None,
) -> int:
    """Show the account and what is about to be done, ask, do it once, show the state after.

    `about`: the contract whose leverage and margin mode are shown too, a position or not.
    """
    show_before(desk, as_json=as_json)
    if not confirmed(f"{what} on {desk.account.name}", confirm):
        return Exit.FAILED
    outcome = await step()
    await desk.window.clock.sleep(SETTLES_WITHIN_S)
    await desk.window.read_anew()
    state, now = desk.window.state, desk.window.clock.now()
    live = await desk.live_line(about) if about is not None else None
    if as_json:
        document = {"step": what, "outcome": word_of(outcome), "detail": told(outcome), "live": live}
        print_json({**document, **holdings_json(state, now)})
    else:
        print_line(f"{what}: {word_of(outcome)}" + (f", {told(outcome)}" if told(outcome) else ""), style="bold")
        if live is not None:
            print_line(live)
        print_holdings(state, now)
    return Exit.DONE if isinstance(outcome, Accepted) else Exit.FAILED


def show_before(desk: Desk, *, as_json: bool) -> None:
    """What stands before the step; where the result is JSON, only the document after it is printed."""
    if not as_json:
        print_holdings(desk.window.state, desk.window.clock.now())


def refuse(why: str) -> int:
    """A step that isn't taken, and why."""
    talk().print(Text(f"guardd: {why}; nothing was sent"))
    return Exit.FAILED


def word_of(outcome: Outcome) -> str:
    match outcome:
        case Accepted():
            return "accepted"
        case Rejected():
            return "rejected"
        case Unknown():
            return "unknown"
        case _:
            assert_never(outcome)


def told(outcome: Outcome) -> str:
    """The venue's answer for people."""
    match outcome:
        case Accepted(order_id=order_id):
            return f"order {order_id}" if order_id is not None else ""
        case Rejected(reason=reason, code=code, text=text):
            answer = f"{reason}, {f'code {code}: ' if code else ''}{text}"
            return answer + (f"; {_OTHER_LEVERAGE}" if reason is Reason.LEVERAGE_CONFLICT else "")
        case Unknown(why=why):
            return f"{why}; it may have happened: look at the state below before you repeat it"
        case _:
            assert_never(outcome)


def _unheard(fact: Fact, /) -> None:
    """The window's adapter tells the same."""
