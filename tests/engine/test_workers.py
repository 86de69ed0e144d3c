"""Workers: calls in contexts of their own, and what becomes of a worker that is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

from troth.engine.workers import Workers, within

R = TypeVar("R")
NAME: ContextVar[str] = ContextVar("name", default="nobody")


class Job:
    """What it does, and how it ended."""

    task: asyncio.Task[object] | None = None
    late = False

    def __init__(self, ended: asyncio.Future[str]) -> None:
        self.ended = ended


async def whole(context: Context, code: Coroutine[Any, Any, R]) -> R:
    """All of a coroutine that doesn't end in its first step."""
    return await within(context, code, context.run(code.send, None))


def test_each_step_of_a_call_runs_in_its_context() -> None:
    """Before and after each await the code sees its own context, and sets nothing outside of it."""

    async def code() -> str:
        before = NAME.get()
        NAME.set("inside")
        await asyncio.sleep(0)
        return f"{before} {NAME.get()}"

    async def main() -> None:
        NAME.set("caller")
        context = copy_context()
        NAME.set("outside")
        assert await whole(context, code()) == "caller inside"
        assert await whole(Context(), code()) == "nobody inside"
        assert NAME.get() == "outside"

    asyncio.run(main())


def test_an_exception_goes_in_and_comes_out() -> None:
    """What is raised at an await is raised inside, and what leaves the code leaves the await."""

    async def code(future: asyncio.Future[None]) -> None:
        try:
            await future
        except ValueError as error:
            raise KeyError(NAME.get()) from error

    async def main() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.get_loop().call_soon(future.set_exception, ValueError())
        try:
            await whole(Context(), code(future))
        except KeyError as error:
            assert error.args == ("nobody",)
        else:
            raise AssertionError("nothing was raised")

    asyncio.run(main())


async def endless(job: Job) -> None:
    """A job that takes its cancellation for its answer."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        job.ended.set_result("cancelled")


def test_a_late_job_ends_and_its_worker_goes_on() -> None:
    """Only the job is ended; the same task takes the next one."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        workers = Workers(loop, endless)
        first, second = Job(loop.create_future()), Job(loop.create_future())
        for job in (first, second):
            workers.submit(job)
            await asyncio.sleep(0)
            assert job.task is not None
            job.late = True
            job.task.cancel()
            assert await job.ended == "cancelled"
            await asyncio.sleep(0)
        assert len(workers.tasks) == 1

    asyncio.run(main())


def test_a_loop_that_is_closed_ends_its_workers() -> None:
    """``asyncio.run`` cancels all tasks and waits for them: it gets to its end."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        workers = Workers(loop, endless)
        job = Job(loop.create_future())
        workers.submit(job)
        await asyncio.sleep(0)
        assert job.task is not None

    asyncio.run(main())
