"""The network between nodes and services: requests and replies that are late, lost, doubled or overtaken."""

from __future__ import annotations

from collections.abc import Callable

from troth.core.reply import Reply
from troth.core.words import Op, Word
from troth.ports.caller import Call
from troth.testing.simulation.catalog import STEPS, service_of
from troth.testing.simulation.chance import key_of
from troth.testing.simulation.faults import Site
from troth.testing.simulation.nesting import Nesting
from troth.testing.simulation.services import LATER, MUST, Service
from troth.testing.simulation.world import MS, SECOND, Process, World

LONGEST = 8 * SECOND
"""The longest a message is under way, in microseconds."""

Heard = Callable[[Reply], None]


class Flight:
    """One call: answered exactly once."""

    __slots__ = ("call", "copies", "heard", "key", "over", "process")

    def __init__(self, call: Call, process: Process, heard: Heard, key: int) -> None:
        self.call = call
        self.process = process
        self.heard = heard
        self.key = key
        self.copies = 0
        self.over = False


class Post:
    """Carries calls to services and replies back."""

    def __init__(self, world: World, services: list[Service]) -> None:
        self.world = world
        self.services = services
        self.nesting = Nesting(self)

    def send(self, process: Process, call: Call, fault: str, heard: Heard, key: int) -> None:
        """Make a call. ``heard`` is told once, if the process lives: the reply, or unknown after the timeout."""
        flight = Flight(call, process, heard, key)
        if fault == "connection_refused":
            self.back(flight, Reply(Word.NOT_DONE, reason="connection refused"), 200, 2_000)
            return
        self.world.after(int(call.timeout * SECOND), process, self.answer, flight, Reply(Word.UNKNOWN, reason="no answer"))
        if fault == "lose_request":
            return
        if fault == "late_request":
            self.late(flight)
            return
        self.travel(flight, 200, 3_000)
        if fault == "duplicate_request":
            self.travel(flight, 200, 20_000)
        elif fault == "late_copy":
            self.late(flight)

    def travel(self, flight: Flight, low: int, high: int) -> None:
        """One copy of the request goes its way."""
        flight.copies += 1
        self.world.after(self.world.delay(low, high, "request travels", flight.key), None, self.arrive, flight)

    def late(self, flight: Flight) -> None:
        """One copy takes its time."""
        flight.copies += 1
        self.world.after(self.world.spell(20 * MS, LONGEST, "late for", flight.key), None, self.arrive, flight)

    def arrive(self, flight: Flight) -> None:
        """A copy has come to its service."""
        call = flight.call
        service = self.services[service_of(call.name)]
        if self.world.now < service.down_until:
            if flight.copies == 1:  # otherwise another copy is under way: nobody may say that nothing was sent
                self.back(flight, Reply(Word.NOT_DONE, reason="connection refused"), 200, 2_000)
            return
        if self.nesting.holds(call):  # the barrier's row is locked
            self.world.after(20 * MS, None, self.arrive, flight)
            return
        if call.op is Op.TRY and self.world.faults.at(Site.STRAY, flight.key):
            self.stray_confirm(service, call)
        fault = self.world.faults.at(Site.SERVE, flight.key)
        if fault == "wrong_answer" and call.op not in MUST:
            fault = ""
        reply = service.serve(call, fault, alone=flight.copies == 1)
        if reply is LATER:
            self.nesting.begin(service, flight, fault)
            return
        self.served(service, flight, reply, fault)

    def served(self, service: Service, flight: Flight, reply: Reply | None, fault: str) -> None:
        """The request was done, or not: the reply goes its way, if there is one."""
        call = flight.call
        if self.world.traced:
            word = "nothing" if reply is None else f"{reply.word} {reply.reason}"
            self.world.note(f"service {service.number}", f"{call.gid} {call.op} {call.branch}: {word} {fault}")
        if reply is None:
            return
        fault = "late_reply" if fault == "slow" else self.world.faults.at(Site.REPLY, flight.key)
        if fault == "late_reply":
            self.back(flight, reply, 50 * MS, LONGEST)
        elif fault != "lose_reply":
            self.back(flight, reply, 200, 3_000)

    def stray_confirm(self, service: Service, call: Call) -> None:
        """Somebody who decided nothing asks to confirm before the try has come."""
        if STEPS[call.name].guarded and (call.uid, call.branch, Op.TRY) not in service.rows:
            service.guarded(call._replace(op=Op.CONFIRM), "")

    def back(self, flight: Flight, reply: Reply, low: int, high: int) -> None:
        """A reply goes its way."""
        if not flight.over:
            self.world.after(self.world.delay(low, high, "reply travels", flight.key), flight.process, self.answer, flight, reply)

    def answer(self, flight: Flight, reply: Reply) -> None:
        """The first to come is the reply."""
        if not flight.over:
            flight.over = True
            flight.heard(reply)


def key_of_call(call: Call) -> int:
    """What all faults of one attempt are drawn by."""
    return key_of(f"{call.idempotency_key}/{call.attempt}/{call.gid}")
