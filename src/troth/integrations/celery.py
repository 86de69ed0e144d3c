"""Celery: sagas in tasks.

```
app = Celery("shop", broker=…)
connect(troth)


@app.task(base=SagaTask)
def place(number: int) -> str:
    return place_order.options(gid=f"order-{number}").run(number).state
```

The first saga in a pool's process starts that process's node, recovery included: nothing is entered, and a prefork pool is
as good as any other. What a killed process was driving goes on at once in another one. The task itself is delivered again
(``acks_late``), and with the same ``gid`` it finds its transaction instead of beginning another.
"""

from __future__ import annotations

from typing import Any, Final

from celery import Task
from celery.signals import worker_process_shutdown, worker_shutdown

from troth.app.troth import Troth
from troth.ports.errors import InDoubt, NotAccepted, StoreUnavailable

LATER: Final = (NotAccepted, InDoubt, StoreUnavailable)
"""What says nothing about the business: the same task again will do."""
RETRY_AFTER: Final = 1.0
"""Seconds until then, where the error doesn't say."""


def connect(troth: Troth) -> None:
    """Have each process of a worker end what it drives when it stops gracefully: nothing new, then at most ``drain`` seconds.

    What it can't end in that time is left to others. Celery's processes leave without Python's own exit functions, so
    nothing else would do this.

    :param troth: the object whose sagas the worker's tasks run.
    """

    def close(**_: Any) -> None:
        troth.close()

    uid = f"troth-{id(troth)}"
    worker_process_shutdown.connect(close, weak=False, dispatch_uid=uid)  # a prefork pool's process
    worker_shutdown.connect(close, weak=False, dispatch_uid=uid)  # the worker itself: pools of threads, or none


class SagaTask(Task):
    """A task that runs a saga: ``@app.task(base=SagaTask)``.

    It is acknowledged when it has ended and delivered again should its process die, so give the saga a ``gid`` made of the
    task's arguments. A saga that was not begun, because the process stops, is full, or its log can't be written, is tried
    again after the time that the error names: as often as it takes, unless ``max_retries=`` says otherwise.
    """

    abstract = True
    acks_late = True
    reject_on_worker_lost = True
    max_retries = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task.

        :raises celery.exceptions.Retry: to be run again later.
        """
        try:
            return super().__call__(*args, **kwargs)
        except LATER as error:
            after = getattr(error, "retry_after", RETRY_AFTER)
            raise self.retry(exc=error, countdown=after) from error
