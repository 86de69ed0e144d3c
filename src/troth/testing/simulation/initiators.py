"""Initiators of open TCCs: programs that call participants, swallow what goes wrong, and submit all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Raw

from troth.core.reply import NULL
from troth.engine.drive import Driver
from troth.engine.live import Live
from troth.engine.tries import Initiator, Tries
from troth.engine.waited import Answered
from troth.ports.errors import NotAccepted
from troth.testing.simulation.faults import Site
from troth.testing.simulation.hosts import WAIT, Runner, Task
from troth.testing.simulation.oracle import Oracle
from troth.testing.simulation.programs import Body
from troth.testing.simulation.world import MS, SECOND, World

if TYPE_CHECKING:
    from troth.testing.simulation.lives import Life


class OpenHost(Runner, Initiator):
    """One initiator. Its registrations may be lost, late or doubled on their way, as one in another process would find."""

    def __init__(self, driver: Driver, live: Live, world: World, oracle: Oracle, process: Life, body: Body) -> None:
        super().__init__(driver, live)
        self.oracle = oracle
        self.runs(world, process, body)

    def call(self, place: str, name: str, args: Raw, answered: Answered) -> int:
        """As every initiator; what goes wrong is noted for the checkers."""

        def noted(answer: Raw | BaseException) -> None:
            if isinstance(answer, BaseException):
                self.oracle.troubled[self.live.gid] = f"{name}: {answer}"
            answered(answer)

        try:
            return super().call(place, name, args, noted)
        except Exception as error:
            self.oracle.troubled[self.live.gid] = f"{name}: {error}"
            raise

    def register(self, id: str, name: str, args: Raw, answered: Answered) -> int:
        """The registration goes its way."""
        fault = self.world.faults.at(Site.REGISTER, self.key)
        if fault == "lose_registration":
            self.world.sometimes("a registration gets no answer")
            raise NotAccepted("the registration got no answer")
        if fault == "late_registration":
            wait = self.world.spell(1 * MS, 1 * SECOND, "registered late", self.key)
            self.world.after(wait, self.process, self._late, id, name, args)
            raise NotAccepted("the registration got no answer in time")
        if fault == "repeat_registration":
            wait = self.world.delay(1, 20 * MS, "registered again", self.key)
            self.world.after(wait, self.process, self._late, id, name, args)
        return super().register(id, name, args, answered)

    def _late(self, id: str, name: str, args: Raw) -> None:
        """Nobody waits for this one's answer."""
        try:
            Tries.register(self, id, name, args, lambda answer: None)
        except Exception as error:
            self.world.note(self.live.gid, f"a late registration of {id}: {error}")

    def _more(self, task: Task, request: tuple[Any, ...]) -> Any:
        _, step, args, micros = request
        waits = True

        def answered(answer: Raw | BaseException) -> None:
            nonlocal waits
            if waits:
                waits = False
                self.world.after(1, self.process, self.advance, task, answer)

        def enough() -> None:
            nonlocal waits
            if waits:
                waits = False
                self.oracle.troubled[self.live.gid] = f"{step}: its caller stopped waiting"
                self.left(index)
                self.world.sometimes("an initiator stops waiting for a try")
                self.world.after(1, self.process, self.advance, task, TimeoutError("the initiator's own timeout"))

        index = self.call(task.place, step, args, answered)
        self.world.after(micros, self.process, enough)
        return WAIT

    def _function_ended(self, answer: Any) -> None:
        if isinstance(answer, Exception):
            self.abort(f"{type(answer).__name__}: {answer}")
            return
        if not self.over and self.waiting:
            self.world.sometimes("a submit finds a try under way")
        if self.live.gid in self.oracle.troubled:
            self.world.sometimes("an initiator swallows what went wrong")
        self.submit(answer if isinstance(answer, Raw) else NULL)
