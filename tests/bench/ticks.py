"""What a tick costs that crosses nothing, on the same messages for every client, and whether 20,000 of them a second pile up."""

from typing import Final

from tests.bench.cast import Cast
from tests.bench.clients import Client
from tests.bench.figures import quantile, ratio
from tests.bench.measure import Series, Terms, interleaved
from tests.bench.script import Script
from tests.bench.section import Goal, Section, told
from tests.bench.size import beyond_us

BEHIND_MS: Final = 5.0
"""No backlog: bursts come each millisecond, and what waits in a socket's buffers is worth no more than a few of them."""


async def cost(terms: Terms) -> Section:
    """CPU by the kernel's books over a stretch of ticks. What a client does besides (polls, pulse) is in it, and left out
    of `beyond rest`."""
    seconds = 0.5 if terms.quick else 4.0
    rates = (1_000,) if terms.quick else (1_000, 5_000, 20_000)
    parts = [("at rest", Script(ticks_per_s=10, seconds=seconds))]
    parts += [(f"{rate:,}/s", Script(ticks_per_s=rate, seconds=seconds, burst_ms=1)) for rate in rates]
    clients = [Client.FLOOR, Client.GUARD, *([Client.CCXT] if terms.ccxt_python else [])]
    series = await interleaved(terms, Cast(positions=5 if terms.quick else 40), parts, clients)
    section = Section(
        title="CPU of ticks that cross nothing, 40 positions",
        head=("ticks", "client", "CPU µs/tick", "beyond rest", "core %", "MiB", "behind ms"),
    )
    for part, _ in parts:
        for client in clients:
            section.rows.append(_row(part, client, series))
    top = f"{rates[-1]:,}/s"
    for other, limit, stretch in ((Client.FLOOR, 2.0, 1.6), (Client.CCXT, 1 / 5, 1 / 8)):
        text = f"CPU per tick ÷ {other} at {top}"
        value = (
            ratio(_cpu(series, top, Client.GUARD), _cpu(series, top, other)) if series.of(top, other) else float("nan")
        )
        section.goals.append(Goal(text=text, value=value, limit=limit, stretch=stretch))
    behind = quantile([outcome.behind_ms for outcome in series.of(top, Client.GUARD)], 0.5)
    section.goals.append(Goal(text=f"{top} on one core: behind at the end", value=behind, limit=BEHIND_MS, unit="ms"))
    return section


def _row(part: str, client: Client, series: Series) -> tuple[str, ...]:
    outcomes, resting = series.of(part, client), series.of("at rest", client)
    beyond = [beyond_us(outcome, rest) for outcome, rest in zip(outcomes, resting, strict=True)]
    return (
        part,
        str(client),
        told(quantile(_cpu(series, part, client), 0.5)),
        told(quantile(beyond, 0.5)),
        told(quantile([outcome.cpu_share * 100 for outcome in outcomes], 0.5)),
        told(quantile([outcome.memory_mib for outcome in outcomes], 0.5)),
        told(quantile([outcome.behind_ms for outcome in outcomes], 0.5)),
    )


def _cpu(series: Series, part: str, client: Client) -> list[float]:
    return [outcome.cpu_per_tick_us for outcome in series.of(part, client)]
