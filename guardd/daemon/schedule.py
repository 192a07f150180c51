"""Calendar jobs, by APScheduler. Each only posts; the guard's own pulse is a supervised task, never a job.

APScheduler skips or coalesces late runs and follows the wall clock when it steps back, so nothing that protects hangs on it;
what it misses is told and counted.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    JobEvent,
)
from apscheduler.schedulers.asyncio import AsyncIOScheduler

log = structlog.get_logger(__name__)

GRACE_S: Final = 3600
"""A job that was late by less than this still runs: its default of one second silently drops a day's work."""
OUTCOMES: Final = {
    EVENT_JOB_EXECUTED: "done",
    EVENT_JOB_ERROR: "failed",
    EVENT_JOB_MISSED: "missed",
    EVENT_JOB_MAX_INSTANCES: "overlapped",
}


class Schedule:
    """Daily work of the whole daemon, at fixed times of the UTC day. `count` hears a job's name and one of `OUTCOMES`."""

    def __init__(self, *, count: Callable[[str, str], None] = lambda job, outcome: None) -> None:
        self._count = count
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"misfire_grace_time": GRACE_S, "coalesce": True, "max_instances": 1}
        )
        mask = 0
        for event in OUTCOMES:
            mask |= event
        self._scheduler.add_listener(self._heard, mask)

    def daily(self, name: str, job: Callable[[], Awaitable[None]], *, hour: int, minute: int) -> None:
        """Run `job` once a day, UTC."""

        async def run() -> None:
            """APScheduler awaits coroutine functions alone: what a lambda returns it would drop in a thread."""
            await job()

        self._scheduler.add_job(run, "cron", id=name, name=name, hour=hour, minute=minute)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _heard(self, event: JobEvent) -> None:
        outcome = OUTCOMES[event.code]
        self._count(event.job_id, outcome)
        if outcome != "done":
            error = getattr(event, "exception", None)
            log.warning("scheduled_job_trouble", job=event.job_id, outcome=outcome, error=type(error).__name__)
