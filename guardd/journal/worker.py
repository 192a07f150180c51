"""Where the journal's blocking work runs: off the loop that reads ticks (I20). A seam, so that a simulation can replace it."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from guardd.errors import GuarddError

T = TypeVar("T")


class Worker(Protocol):
    """Does one piece of work after another, in the order given."""

    def submit(self, work: Callable[[], T], /) -> "Future[T]":
        """Queue `work`; the future holds its result or its error."""
        ...

    def stop(self) -> None:
        """Finish what is queued and take nothing more."""
        ...


class ThreadWorker:
    """One thread of its own."""

    def __init__(self, name: str = "journal") -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def submit(self, work: Callable[[], T], /) -> "Future[T]":
        return self._pool.submit(work)

    def stop(self) -> None:
        self._pool.shutdown(wait=True)


class InlineWorker:
    """Does the work at once, where it was asked for: for a simulation on a virtual clock, which must repeat exactly."""

    def submit(self, work: Callable[[], T], /) -> "Future[T]":
        done: Future[T] = Future()
        try:
            done.set_result(work())
        except (GuarddError, OSError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            done.set_exception(error)  # as a thread would: who waits must hear of it
        return done

    def stop(self) -> None:
        """Nothing is ever queued."""
