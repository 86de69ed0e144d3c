"""Runs programs by hand: functions through `engine.runs.FunctionRun`, initiators through `engine.tries.Initiator`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec import Raw

from troth.core.ids import ROOT
from troth.core.reply import NULL
from troth.engine.drive import Driver
from troth.engine.live import Live
from troth.engine.runs import FunctionRun, RunOver
from troth.engine.waited import Answered
from troth.ports.errors import Refused, StepFailed
from troth.testing.simulation.chance import key_of
from troth.testing.simulation.programs import Body, whole
from troth.testing.simulation.world import Process, World

WAIT: Final = object()
Program = Generator[tuple[Any, ...], Any, Any]


class Task:
    """One task of a run: the function itself, or a part of a gather.

    :ivar scopes: for each inner saga it is in, the branches that were called in it.
    """

    __slots__ = ("ended", "gathers", "place", "program", "scopes")

    def __init__(self, program: Program, place: str, scopes: list[set[int]], ended: Callable[[Any], None]) -> None:
        self.program = program
        self.place = place
        self.scopes = scopes
        self.ended = ended
        self.gathers = 0


class Runner:
    """One run of one program.

    :ivar process: the node's life; callbacks stop with it.
    """

    world: World
    process: Process
    body: Body
    key: int
    made: set[int]
    """The branches that this run called or recalled."""

    if TYPE_CHECKING:
        live: Live
        over: bool

        def call(self, place: str, name: str, args: Raw, answered: Answered) -> int: ...

    def runs(self, world: World, process: Process, body: Body) -> None:
        """Say what is run, where."""
        self.world = world
        self.process = process
        self.body = body
        self.key = key_of(self.live.gid)
        self.made = set()

    def start(self) -> None:
        """Launch the function, from its beginning, a moment later."""
        task = Task(whole(self.body), ROOT, [], self._function_ended)
        self.world.after(self.world.delay(10, 200, "function starts", self.key), self.process, self.advance, task, None)

    def _function_ended(self, answer: Any) -> None:
        """The program has come to its end: its value, or what it raised. Overridden."""

    def _more(self, task: Task, request: tuple[Any, ...]) -> Any:
        """A request that only some programs make. Overridden."""
        raise TypeError(f"no program of this kind asks for {request}")

    def advance(self, task: Task, value: Any) -> None:
        """Give the program what it waits for and do what it asks next, until it must wait."""
        while not self.over or isinstance(value, BaseException):
            try:
                if isinstance(value, BaseException):
                    request = task.program.throw(value)
                else:
                    request = task.program.send(value)
            except StopIteration as stop:
                task.ended(stop.value)
                return
            except RunOver:
                return
            except Exception as error:
                task.ended(error)
                return
            value = self._do(task, request)
            if value is WAIT:
                return

    def _do(self, task: Task, request: tuple[Any, ...]) -> Any:
        """One request; what it raises is thrown into the program."""
        try:
            return self._asked(task, request)
        except (RunOver, Exception) as error:
            return error

    def _asked(self, task: Task, request: tuple[Any, ...]) -> Any:
        match request:
            case ("call", step, args):
                return self._call(task, step, args)
            case ("spawn", step, args):
                self._scope(task, self.call(task.place, step, args, lambda answer: None))
                return NULL
            case ("gather", programs):
                return self._gather(task, programs)
            case ("sleep", micros):
                self.world.after(micros, self.process, self.advance, task, NULL)
                return WAIT
            case _:
                return self._more(task, request)

    def _call(self, task: Task, step: str, args: Raw) -> Any:
        early: list[Raw | BaseException] = []
        calling = True

        def answered(answer: Raw | BaseException) -> None:
            if calling:
                early.append(answer)
            else:
                self.world.after(self.world.delay(1, 40, "function resumes", self.key), self.process, self.advance, task, answer)

        index = self.call(task.place, step, args, answered)
        calling = False
        self._scope(task, index)
        return early[0] if early else WAIT

    def _scope(self, task: Task, index: int) -> None:
        self.made.add(index)
        for scope in task.scopes:
            scope.add(index)

    def _gather(self, task: Task, programs: tuple[Program, ...]) -> Any:
        task.gathers += 1
        answers: list[Any] = [None] * len(programs)
        left = len(programs)

        def ended(number: int, answer: Any) -> None:
            nonlocal left
            answers[number] = answer
            left -= 1
            if left == 0:
                raised = [a for a in answers if isinstance(a, Exception)]
                self.world.after(1, self.process, self.advance, task, raised[0] if raised else NULL)

        for number, program in enumerate(programs):
            part = Task(program, f"{task.place}.{task.gathers}_{number}", task.scopes, partial(ended, number))
            self.world.after(self.world.delay(1, 30, "part starts", self.key), self.process, self.advance, part, None)
        return WAIT


class Host(Runner, FunctionRun):
    """One run of a function."""

    def __init__(self, driver: Driver, live: Live, world: World, process: Process, body: Body) -> None:
        super().__init__(driver, live)
        self.runs(world, process, body)

    def _more(self, task: Task, request: tuple[Any, ...]) -> Any:
        match request:
            case ("remember",):
                return self._remember(task)
            case ("enter",):
                task.scopes = [*task.scopes, set()]
            case ("leave",):
                task.scopes = task.scopes[:-1]
            case _:
                return self._abandon(task)
        return NULL

    def _remember(self, task: Task) -> Raw:
        value = self.recall(task.place)
        if value is None:
            value = Raw(b"%d" % (self.world.chance.bits("remembered", self.key) >> 40))
            self.remember(task.place, value)
        else:
            self.world.sometimes("a remembered value is given again")
        self.made.add(self.live.saga.called)
        return value

    def _abandon(self, task: Task) -> Any:
        branches = tuple(sorted(task.scopes[-1]))
        task.scopes = task.scopes[:-1]
        self.abandon(branches, lambda: self.world.after(1, self.process, self.advance, task, NULL))
        self.world.sometimes("an inner saga is abandoned")
        return WAIT

    def _function_ended(self, answer: Any) -> None:
        if isinstance(answer, Refused | StepFailed):
            self.raised(str(answer), getattr(answer, "step", ""), self._jitter())
        elif isinstance(answer, Exception):
            self.raised(f"{type(answer).__name__}: {answer}", "", self._jitter())
        else:
            self.returned(answer if isinstance(answer, Raw) else NULL)
            self._whole()

    def _whole(self) -> None:
        """S8: a run that returned has made every recorded call; else old and new code are mixed."""
        doc = self.live.saga.doc
        if doc.returned and not self.over:
            for index, branch in enumerate(doc.branches):
                if index not in self.made:
                    self.world.broken("S8", f"{doc.gid} returned, and this run never called {branch.id}, which is recorded")

    def _jitter(self) -> float:
        return self.world.chance.fraction("jitter of a run", self.key)
