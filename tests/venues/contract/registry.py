"""The venues that must pass: a name each, and the module beside this one whose `BENCH` describes it.

A bench is imported when its cases run: a venue that stands here and doesn't import fails its own cases and nobody else's.
"""

from importlib import import_module
from typing import Final

from tests.venues.contract.bench import Bench

VENUES: Final = ("bitmart", "bitget", "bitget-unified")


def bench_of(name: str) -> Bench:
    module = import_module(f"tests.venues.contract.{name.replace('-', '_')}_bench")
    bench = module.BENCH
    if not isinstance(bench, Bench) or bench.name != name:
        raise TypeError(f"{module.__name__}.BENCH: found {bench!r}, expected the bench of {name}")
    return bench
