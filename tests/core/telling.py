"""Sagas for the rules' tests, and moves as a person reads them: a whole move is one short text, compared as a whole."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw, structs

from troth.core.move import (
    Abandoned,
    Alert,
    Answer,
    Call,
    Called,
    Command,
    Event,
    Move,
    Raised,
    Recovered,
    Replied,
    Resume,
    Returned,
    Save,
    Start,
    Stop,
    Tick,
)
from troth.core.plan import Node, Plan, StepSpec
from troth.core.reply import Reply
from troth.core.rules import decide
from troth.core.saga import begin
from troth.core.state import Branch, Saga
from troth.core.words import Op, Role, Word

NOW = 1_000_000_000
"""When every saga here begins, in microseconds."""
SECOND = 1_000_000
TIMEOUT = 30.0


def step(
    name: str, role: Role = Role.COMPENSABLE, *, guarded: bool = True, sealable: bool = True, checkable: bool = False,
    undoable: bool | None = None, attempts: int = 3,
) -> StepSpec:  # fmt: skip
    """A step: guarded by a barrier of ours unless said, undoable if it is compensable."""
    undo = role is Role.COMPENSABLE if undoable is None else undoable
    return StepSpec(name, role, guarded, guarded and sealable, undo, checkable, attempts=attempts)


def pivot(name: str = "pay", *, guarded: bool = True, sealable: bool = True, checkable: bool = False) -> StepSpec:
    """A pivot."""
    return step(name, Role.PIVOT, guarded=guarded, sealable=sealable, checkable=checkable)


def retriable(name: str = "ship") -> StepSpec:
    """A step that comes after the point of no return."""
    return step(name, Role.RETRIABLE)


def graph(*steps: tuple[StepSpec, tuple[int, ...]], uses: bool = False) -> Plan:
    """A graph of (step, indexes it waits for).

    :param uses: steps use the results of those they wait for.
    """
    nodes = []
    for index, (spec, after) in enumerate(steps):
        before = tuple(later for later, (_, earlier) in enumerate(steps) if index in earlier)
        nodes.append(Node(f"0/{spec.name}#1", spec, after, after if uses else (), before))
    roles = [spec.role for spec, _ in steps]
    where = roles.index(Role.PIVOT) if Role.PIVOT in roles else -1
    return Plan("saga", "graph", tuple(nodes), where, Role.RETRIABLE in roles)


def chain(*steps: StepSpec) -> Plan:
    """A graph of steps one after the other."""
    return graph(*((spec, (index - 1,) if index else ()) for index, spec in enumerate(steps)))


def beside(*steps: StepSpec) -> Plan:
    """A graph of steps side by side."""
    return graph(*((spec, ()) for spec in steps))


def function(*steps: StepSpec, recover: str = "run") -> Plan:
    """A function that may call these steps."""
    known = {spec.name: spec for spec in steps}
    return Plan("saga", "function", lookup=known.get, recover="cancel" if recover == "cancel" else "run")


class Story:
    """A saga and what happens to it, one event after the other.

    :ivar told: the last move, as a text.
    """

    def __init__(self, plan: Plan, *, force: bool = True) -> None:
        self.now = NOW
        self.move = begin(plan, gid="g", uid=b"u" * 16, input=Raw(b"{}"), now=NOW, begun=NOW, timeout=TIMEOUT, force=force)
        self.saga = self.move.state

    @property
    def told(self) -> str:
        """The last move."""
        return tell(self.move, self.now)

    def happens(self, event: Event) -> str:
        """Feed an event; the move as a text."""
        self.move = decide(self.saga, event)
        self.saga = self.move.state
        return self.told

    def wait(self, seconds: float) -> str:
        """Time passes, and the clock ticks."""
        self.now += int(seconds * SECOND)
        return self.happens(Tick(self.now))

    def answer(self, name: str, word: Word, **more: object) -> str:
        """The call of that step that is in flight is answered."""
        index = self.index(name)
        branch = self.saga.doc.branches[index]
        assert branch.calling, f"{name} is not being called"
        reply = Reply(word, **{"reason": str(word), **more})  # type: ignore[arg-type]
        return self.happens(Replied(self.now, index, branch.op, branch.attempt, reply, 0.0))

    def done(self, name: str) -> str:
        """It is done."""
        return self.answer(name, Word.DONE)

    def call(self, name: str, args: bytes = b"{}", place: str = "0") -> str:
        """The function calls a step."""
        return self.happens(Called(self.now, place, name, Raw(args)))

    def returns(self) -> str:
        """The function returns."""
        return self.happens(Returned(self.now, Raw(b"1")))

    def raises(self) -> str:
        """The function raises."""
        return self.happens(Raised(self.now, "its own error", jitter=0.0))

    def abandons(self, *names: str) -> str:
        """An inner saga that called these is left by an exception."""
        return self.happens(Abandoned(self.now, tuple(self.index(name) for name in names), 1))

    def crashes(self, gap: float = 0.0) -> str:
        """Its node dies, having written all; another takes over after the gap."""
        self.now += int(gap * SECOND)
        return self.happens(Recovered(self.now, int(gap * SECOND)))

    def loses(self, change: Callable[[Saga], Saga]) -> None:
        """The log holds something older."""
        self.saga = change(self.saga)

    def index(self, name: str) -> int:
        """The newest branch of that step."""
        return max(i for i, b in enumerate(self.saga.doc.branches) if b.name == name)


def tell(move: Move, now: int) -> str:
    """A move as a text: ``state: branches; what goes out``, with ``when durable`` where it waits for the log."""
    doc = move.state.doc
    branches = " ".join(tell_branch(b, now) for b in doc.branches)
    out = ", ".join(tell_command(c, doc.branches) for c in (*move.now, *move.after_durable))
    how = {Save.NO: "", Save.RIDE: " (rides)", Save.FORCE: " (forced)"}[move.save]
    doomed = " doomed" if doc.doom else ""
    return f"{doc.state}{doomed}{how}: {branches or '-'}; {out or '-'}"


def tell_branch(branch: Branch, now: int) -> str:
    """``name=fate``, ``?`` if unknown, ``@seconds`` until its next call, ``!`` if a person is needed."""
    due = f"@{(branch.due - now) / SECOND:g}" if branch.due else ""
    return f"{branch.name}={branch.fate}{'?' if branch.unknown else ''}{due}{'!' if branch.stuck else ''}"


def tell_command(command: Command, branches: tuple[Branch, ...]) -> str:
    """A command in two or three words."""
    match command:
        case Call(index, op, _):
            return f"{op} {branches[index].name}"
        case Answer(index):
            return f"answer {branches[index].name}"
        case Alert(kind, _, _):
            return f"alert {kind}"
        case Start():
            return "start"
        case Stop():
            return "stop"
        case Resume(_):
            return "resume"


def forget(index: int) -> Callable[[Saga], Saga]:
    """As if a branch's result, and its intent, had only been riding and were lost."""

    def change(saga: Saga) -> Saga:
        old = saga.doc.branches
        lost = (*old[:index], Branch(old[index].id, old[index].name), *old[index + 1 :])
        return structs.replace(saga, doc=structs.replace(saga.doc, branches=lost))

    return change


__all__ = ["NOW", "SECOND", "Op", "Role", "Story", "Word", "beside", "chain", "forget", "function", "graph", "pivot"]
