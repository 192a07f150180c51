"""The last page: what the guard did, when and why, and what is left in either account. All of it from the ledger."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardd.demo import story
from guardd.demo.verdict import End, Verdict


def print_verdict(console: Console, verdict: Verdict, *, observe: bool) -> None:
    """Prints the summary. `observe`: the guard was told only to watch."""
    console.print()
    console.print(Text("What the guard did (from the exchange's ledger)", style="bold"))
    if verdict.deeds:
        console.print(_deeds(verdict))
    else:
        console.print("  nothing: it ran in observe and sends no write there" if observe else "  nothing")
    console.print(Text("What is left (from the exchange's ledger, USDT)", style="bold"))
    console.print(_ends(verdict))
    for text, style in _sentences(verdict, observe=observe):
        console.print(Text(text, style=style), soft_wrap=True)


def _deeds(verdict: Verdict) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("when", justify="right", no_wrap=True)
    table.add_column("what", overflow="fold")
    table.add_column("why: the marks then", overflow="fold")
    table.add_column("realised", justify="right", no_wrap=True)
    for deed in verdict.deeds:
        gained = "" if deed.gained is None else story.money(deed.gained, signed=True)
        table.add_row(f"{deed.offset_ms / 1000:.1f} s", deed.what, deed.why, gained)
    return table


def _ends(verdict: Verdict) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("account")
    for heading in ("equity before", "lowest", "at the end"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("liquidated", overflow="fold")
    table.add_column("still held", overflow="fold")
    for end, what in ((verdict.guarded, "guarded"), (verdict.twin, "unguarded")):
        table.add_row(
            f"{end.uid} ({what})",
            story.money(end.equity_before),
            story.money(end.equity_low),
            story.money(end.equity_end),
            ", ".join(end.liquidated) or "nothing",
            ", ".join(end.held) or "nothing",
        )
    return table


def _sentences(verdict: Verdict, *, observe: bool) -> list[tuple[str, str]]:
    kept = f"{story.money(verdict.kept)} USDT are left in the guarded account that its twin lost."
    if verdict.guard_held:
        bare = (
            "From the first price on, each position of it had a stop at the exchange for all of it, without a gap."
            if not verdict.unprotected_ms
            else f"A position of it stood without a stop for all of it for {verdict.unprotected_ms} ms at most."
        )
        return [
            (f"The guarded account {_fate(verdict.guarded)}; its twin was liquidated. {kept}", "bold green"),
            (bare, ""),
        ]
    if observe and verdict.guarded.liquidated:
        text = (
            "The guard only observed: the account it watched was liquidated like its twin. Without --observe it acts."
        )
        return [(text, "bold yellow")]
    if verdict.guarded.liquidated:
        return [("The guarded account was liquidated: " + ", ".join(verdict.guarded.liquidated) + ".", "bold red")]
    return [("The twin was not liquidated: the market did not fall far enough to prove anything.", "bold red")]


def _fate(end: End) -> str:
    return "kept a part and closed the rest in time" if end.held else "closed in time"
