"""Calendar jobs: what APScheduler does to a job is counted and told."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent

from guardd.daemon.schedule import GRACE_S, Schedule


async def ran(job: Callable[[], object]) -> Counter[tuple[str, str]]:
    """The job's own event, from a run that is due at once."""
    counts: Counter[tuple[str, str]] = Counter()
    schedule = Schedule(count=lambda name, outcome: counts.update([(name, outcome)]))
    schedule._scheduler.add_job(job, id="daily-summary")
    schedule.start()
    async with asyncio.timeout(5):
        while not counts:  # noqa: ASYNC110 - APScheduler sets no event
            await asyncio.sleep(0.01)
    schedule.stop()
    return counts


async def test_a_job_that_ran_is_counted() -> None:
    async def fine() -> None:
        return

    assert await ran(fine) == {("daily-summary", "done"): 1}


async def test_a_job_that_failed_is_counted_and_told_by_its_class_alone() -> None:
    async def fails() -> None:
        raise OSError("canary-path")

    with structlog.testing.capture_logs() as lines:
        assert await ran(fails) == {("daily-summary", "failed"): 1}
    (line,) = [each for each in lines if each["event"] == "scheduled_job_trouble"]
    assert (line["outcome"], line["error"]) == ("failed", "OSError")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(EVENT_JOB_ERROR, "failed"), (EVENT_JOB_MISSED, "missed"), (EVENT_JOB_MAX_INSTANCES, "overlapped")],
)
def test_what_it_skips_is_counted(code: int, outcome: str) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    schedule = Schedule(count=lambda name, told: counts.update([(name, told)]))
    schedule._scheduler._dispatch_event(JobEvent(code, "prune-journal", "default"))
    assert counts == {("prune-journal", outcome): 1}


async def test_a_daily_job_is_set_in_utc_with_its_grace() -> None:
    async def fine() -> None:
        return

    schedule = Schedule()
    schedule.daily("daily-summary", fine, hour=0, minute=5)
    schedule.start()
    (job,) = schedule._scheduler.get_jobs()
    assert (job.misfire_grace_time, job.coalesce, job.max_instances) == (GRACE_S, True, 1)
    assert job.next_run_time.utcoffset().total_seconds() == 0
    assert (job.next_run_time.hour, job.next_run_time.minute) == (0, 5)
    schedule.stop()


async def test_a_job_is_awaited_on_the_loop_whatever_callable_it_is() -> None:
    ran_in: list[asyncio.AbstractEventLoop] = []

    async def work(what: str) -> None:
        ran_in.append(asyncio.get_running_loop())

    counts: Counter[tuple[str, str]] = Counter()
    schedule = Schedule(count=lambda name, outcome: counts.update([(name, outcome)]))
    schedule.daily("prune-journal", lambda: work("journal"), hour=0, minute=10)
    schedule.start()
    (job,) = schedule._scheduler.get_jobs()
    job.modify(next_run_time=datetime.now(UTC))
    async with asyncio.timeout(5):
        while not counts:  # noqa: ASYNC110 - APScheduler sets no event
            await asyncio.sleep(0.01)
    schedule.stop()
    assert ran_in == [asyncio.get_running_loop()]
