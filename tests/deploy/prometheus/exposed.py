"""The names under which guardd's metrics can be asked for."""

from prometheus_client.metrics_core import Metric

from guardd.telemetry.metrics import Metrics

PROCESS = frozenset({"process_cpu_seconds_total", "process_resident_memory_bytes"})
"""Of the client's process collector, which has none where /proc can't be read."""


def exposed() -> frozenset[str]:
    """Every series name that /metrics may hold."""
    families = Metrics(version="1", process=False).families()
    return PROCESS | {name for family in families for name in _series(family)}


def _series(family: Metric) -> list[str]:
    match family.type:
        case "counter":
            return [f"{family.name}_total"]
        case "histogram":
            return [f"{family.name}_{part}" for part in ("bucket", "count", "sum")]
        case _:
            return [family.name]
