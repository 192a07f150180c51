"""What a tick costs that crosses nothing, by how many positions are guarded: ten or ten thousand, isolated and cross."""

from tests.bench.cast import Cast
from tests.bench.clients import Client, Preparation, running
from tests.bench.figures import Outcome, quantile, ratio
from tests.bench.measure import Terms, play
from tests.bench.script import Script
from tests.bench.section import Goal, Section, told
from tests.bench.venue import exchange_of

FEW, MANY = 10, 10_000


async def per_tick(terms: Terms) -> Section:
    """Of both sizes the CPU at 10 ticks a second is left out: it is what standing still costs, which is measured apart."""
    many = 100 if terms.quick else MANY
    section = Section(title="CPU of a tick by positions", head=("positions", "margin", "CPU µs/tick", "at rest %"))
    for cross in (False, True):
        costs: dict[int, list[float]] = {FEW: [], many: []}
        for _ in range(max(1, terms.pairs // 2)):
            for positions in costs:
                rest, ticked = await _one(terms, Cast(positions=positions, cross=cross))
                costs[positions].append(beyond_us(ticked, rest))
                resting = told(rest.cpu_share * 100)
                margin = "cross" if cross else "isolated"
                section.rows.append((f"{positions:,}", margin, told(costs[positions][-1], 2), resting))
        text = f"CPU per tick with {many:,} positions ÷ with {FEW}, {'cross' if cross else 'isolated'}"
        section.goals.append(Goal(text=text, value=ratio(costs[many], costs[FEW]), limit=1.2))
    section.notes.append(
        f"Medians over runs, beyond rest: {told(quantile(costs[FEW], 0.5), 2)} µs with {FEW} in cross."
    )
    return section


async def _one(terms: Terms, cast: Cast) -> tuple[Outcome, Outcome]:
    seconds = 0.5 if terms.quick else 6.0
    async with (
        exchange_of(cast, terms.cores, unlimited=True) as venue,
        running(Client.GUARD, cast, venue, terms.cores, preparation=Preparation.WATCHING) as process,
    ):
        rest = await play(venue, process, Script(ticks_per_s=10, seconds=seconds))
        ticked = await play(venue, process, Script(ticks_per_s=5_000, seconds=seconds, burst_ms=1))
    return rest, ticked


def beyond_us(outcome: Outcome, rest: Outcome) -> float:
    """What a tick adds to what the client uses while almost none come."""
    ticks = outcome.ticks - rest.ticks * outcome.seconds / rest.seconds
    used_s = outcome.cpu_s - rest.cpu_share * outcome.seconds
    return used_s / ticks * 1e6 if ticks > 0 else float("nan")
