"""From price frame to order: idle, half cold, warm, and at 20,000 ticks a second in bursts, for every client in turn.

A venue takes ten orders a second of an account and guardd keeps to seven, so that 200 crossings a second come in trains of six an
account with a pause between them. Every client plays the same trains.
"""

from typing import Final

from tests.bench.cast import Cast
from tests.bench.clients import Client
from tests.bench.figures import quantile, ratio
from tests.bench.measure import Series, Terms, interleaved
from tests.bench.script import Script
from tests.bench.section import Bar, Goal, Section, told

IDLE, HALF_COLD, WARM, FLOOD = "idle", "half cold", "warm", "20,000 ticks/s"
_ACCOUNTS: Final = 8
_TRAIN: Final = 6 * _ACCOUNTS
_TRAIN_EVERY_S: Final = 1.4
_OURS: Final = (Client.FLOOR, Client.GUARD, Client.GUARD_WITHOUT_SYNC)


async def idle(terms: Terms) -> Section:
    count = 5 if terms.quick else 40
    script = Script(ticks_per_s=10, seconds=1, crossings=count, crossings_per_s=5)
    series = await interleaved(terms, Cast(positions=count, accounts=4), [(IDLE, script)], _OURS)
    if terms.ccxt_python is not None:
        for client in (Client.CCXT, Client.CCXT_POLLING):
            found = await interleaved(terms, Cast(positions=count), [(IDLE, script)], [client])
            series.outcomes[IDLE] |= found.outcomes[IDLE]
    section = _section("Reaction, idle: 5 crossings/s, 10 ticks/s", series, (IDLE,))
    goal = "reaction p50 idle without sync ÷ the aiohttp floor idle"
    section.goals.append(Goal(text=goal, value=_ratio(series, IDLE), limit=1.0, stretch=0.6))
    for client, limit in ((Client.GUARD, 50), (Client.GUARD_WITHOUT_SYNC, 100)):
        value = (
            ratio(_p50(series, IDLE, Client.CCXT), _p50(series, IDLE, client)) if terms.ccxt_python else float("nan")
        )
        section.goals.append(
            Goal(text=f"ccxt pro as it comes, idle ÷ {client} idle", value=value, limit=limit, at_least=True)
        )
    return section


async def busy(terms: Terms) -> Section:
    trains = 1 if terms.quick else 2
    train = 4 if terms.quick else _TRAIN
    accounts = 1 if terms.quick else _ACCOUNTS
    slow, fast = (4, 1_000.0) if terms.quick else (48, 20_000.0)
    quick = {"train": train, "train_every_s": _TRAIN_EVERY_S, "crossings_per_s": 200.0}
    count = trains * train
    parts = [
        (HALF_COLD, Script(ticks_per_s=1_000, seconds=1, crossings=slow, crossings_per_s=20)),
        (WARM, Script(ticks_per_s=min(fast, 5_000), seconds=1, first=slow, crossings=count, **quick)),  # type: ignore[arg-type]
        (FLOOD, Script(ticks_per_s=fast, seconds=1, burst_ms=1, first=slow + count, crossings=count, **quick)),  # type: ignore[arg-type]
    ]
    cast = Cast(positions=slow + 2 * count, accounts=accounts)
    series = await interleaved(terms, cast, parts, _OURS)
    section = _section(
        "Reaction under load: 20 crossings/s at 1,000 ticks/s; 200/s at 5,000 and at 20,000 ticks/s in 1 ms bursts",
        series,
        (HALF_COLD, WARM, FLOOD),
    )
    for part in (WARM, FLOOD):
        text = f"reaction p50 without sync ÷ the aiohttp floor, {part}"
        section.goals.append(Goal(text=text, value=_ratio(series, part), limit=1.5, stretch=1.25))
    return section


def _section(title: str, series: Series, parts: tuple[str, ...]) -> Section:
    section = Section(
        title=title, head=("", "client", "orders", "missed", "p50 µs", "p99 µs", "p99.9 µs", "CPU µs/tick", "MiB")
    )
    for part in parts:
        for client, outcomes in series.outcomes[part].items():
            pooled = [each for outcome in outcomes for each in outcome.reactions_us]
            section.rows.append(
                (
                    part,
                    str(client),
                    str(len(pooled)),
                    str(sum(outcome.missed for outcome in outcomes)),
                    told(quantile(pooled, 0.5), 0),
                    told(quantile(pooled, 0.99), 0),
                    told(quantile(pooled, 0.999), 0),
                    told(_median([outcome.cpu_per_tick_us for outcome in outcomes])),
                    told(_median([outcome.memory_mib for outcome in outcomes])),
                )
            )
            section.bars.append(
                Bar(label=f"{part}: {client}", value=quantile(pooled, 0.5), beyond=quantile(pooled, 0.99))
            )
    return section


def _ratio(series: Series, part: str) -> float:
    return ratio(_p50(series, part, Client.GUARD_WITHOUT_SYNC), _p50(series, part, Client.FLOOR))


def _p50(series: Series, part: str, client: Client) -> list[float]:
    return [outcome.p50 for outcome in series.of(part, client)]


def _median(values: list[float]) -> float:
    return quantile(values, 0.5)
