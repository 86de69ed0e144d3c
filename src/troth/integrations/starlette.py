"""Starlette and FastAPI: the node lives as long as the application, and its errors become answers.

```
app = FastAPI(lifespan=troth_lifespan(troth))
answer_errors(app)
app.mount("/troth", troth.routes())
```
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from troth.app.troth import Troth
from troth.integrations.problems import ANSWERED, problem_of

Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


def troth_lifespan(troth: Troth, inner: Lifespan | None = None) -> Lifespan:
    """A lifespan in which the node runs: recovery at start-up; at shutdown what is in flight ends, or is left to other nodes.

    Without it the first saga starts the node, in a thread of its own, and what a crash left waits until then.

    :param inner: a lifespan of your own, entered once the node runs and left before it stops.
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with troth:
            if inner is None:
                yield None
            else:
                async with inner(app) as state:
                    yield state

    return lifespan


def answer_errors(app: Starlette) -> None:
    """Answer requests that end in an error of troth's as `troth.integrations.problems` says."""
    for kind in ANSWERED:
        app.add_exception_handler(kind, answered)


def answered(request: Request, error: Any) -> Response:
    """The exception handler.

    :raises TrothError: the error itself, if it is a fault of the program.
    """
    answer = problem_of(error)
    if answer is None:
        raise error
    return Response(answer.body, answer.status, answer.headers)
