"""The journal's thread: does what the journal says to the store, off the event loop. It holds no rule."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from troth.engine.journal import Commit, Settle
from troth.ports.errors import StoreError, StoreUnavailable
from troth.ports.store import BatchOutcome, Store

Report = Callable[[BatchOutcome | StoreError | None], None]


class Writer:
    """Runs one store step after the other in a thread of its own.

    :param report: called in that thread with a commit's outcome, a settle's answer, or the error.
    """

    def __init__(self, store: Store, report: Report, name: str) -> None:
        self.store = store
        self.report = report
        self.steps: SimpleQueue[Commit | Settle | None] = SimpleQueue()
        self.thread = threading.Thread(target=self._work, name=f"troth-journal-{name}", daemon=True)
        self.thread.start()

    def do(self, step: Commit | Settle) -> None:
        """Have a step done; exactly one report follows."""
        self.steps.put(step)

    def stop(self) -> None:
        """End the thread once what was asked is done."""
        self.steps.put(None)
        self.thread.join()

    def _work(self) -> None:
        while (step := self.steps.get()) is not None:
            self.report(self._done(step))

    def _done(self, step: Commit | Settle) -> BatchOutcome | StoreError | None:
        try:
            if isinstance(step, Commit):
                return self.store.commit(step.batch)
            return self.store.settle(step.number)
        except StoreError as error:
            return error
        except Exception as error:  # a store that breaks its contract must not take the journal with it
            return StoreUnavailable(f"{type(error).__name__}: {error}")
