"""When garbage is looked for: at quiet moments, instead of in the middle of a reaction.

Nearly everything here is freed as soon as nobody needs it; what is left to look for are the rings that tasks, connections and
errors make. The interpreter would look for them whenever enough has been made, and that is when much happens.
"""

import gc
from collections.abc import Awaitable, Callable
from typing import Final

EVERY_S: Final = 1.0
FULL_EVERY_S: Final = 600.0
CALM_WITHIN_S: Final = 0.25


async def look_when_calm(
    *, calm: Callable[[float], Awaitable[None]], sleep: Callable[[float], Awaitable[None]]
) -> None:
    """For ever: what was made lately each second, all of it each ten minutes. What lives now is taken to live on."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        since_s = 0.0
        while True:
            await sleep(EVERY_S)
            await calm(CALM_WITHIN_S)
            since_s += EVERY_S
            full = since_s >= FULL_EVERY_S
            gc.collect(2 if full else 1)
            since_s = 0.0 if full else since_s
    finally:
        gc.enable()
        gc.unfreeze()
