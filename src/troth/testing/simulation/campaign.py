"""One seed: what exists in it, a safety phase with faults, a liveness phase without, then the checkers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Raw

from troth.core.state import Transaction
from troth.core.words import State
from troth.engine.live import doc_of
from troth.testing.simulation.catalog import STEPS, SURE
from troth.testing.simulation.chance import Chance, key_of
from troth.testing.simulation.checkers import End, examine, for_a_person
from troth.testing.simulation.clients import Client, Operator, Wish
from troth.testing.simulation.code import Code
from troth.testing.simulation.deploys import Deploys
from troth.testing.simulation.drawing import Author, drawn_holds
from troth.testing.simulation.faults import LATE, Swarm
from troth.testing.simulation.graphs import drawn_graph
from troth.testing.simulation.machines import Machine
from troth.testing.simulation.oracle import Oracle
from troth.testing.simulation.post import LONGEST, Post
from troth.testing.simulation.services import Ledger, Service
from troth.testing.simulation.stores import SharedLog
from troth.testing.simulation.world import MS, SECOND, START, World

SAFETY = 8 * SECOND
"""Faults strike for so long."""
BEGINS = 5 * SECOND
"""Transactions begin during this time."""
BOUND = 150 * SECOND
"""L1: once faults have stopped, everything ends within this time (slow retries come every 60 s)."""


class Result(NamedTuple):
    """What a seed showed.

    :param problems: ``promise: what broke it``, in the order they were found.
    :param states: outcomes, counted.
    :param faults: what struck, counted.
    :param seen: rare situations, counted.
    :param digest: a hash of the trace ("" if it wasn't kept).
    """

    seed: int
    problems: tuple[str, ...]
    states: Counter[str]
    faults: Counter[str]
    seen: Counter[str]
    transactions: int
    events: int
    digest: str
    lines: tuple[str, ...]


def run(seed: int, off: Iterable[str] = (), *, traced: bool = False) -> Result:
    """Run a seed.

    :param off: faults switched off; the other choices stay as they are.
    :param traced: keep the trace and its hash.
    """
    return Run(seed, off, traced=traced).whole()


class Run:
    """A seed under way."""

    def __init__(self, seed: int, off: Iterable[str], *, traced: bool) -> None:
        chance = Chance(seed)
        self.seed = seed
        self.strict = chance.happens(0.15, "nothing is late")
        self.world = World(chance, Swarm(chance, {*off, *(LATE if self.strict else ())}), traced=traced)
        self.bare = chance.happens(0.6, "bare steps")
        self.oracle = Oracle(self.world)
        self.ledger = Ledger()
        self.operator = Operator(self.world)
        self.services = self._services()
        self.post = Post(self.world, self.services)
        self.deploys = Deploys(self.world, self._code(), self.machines)
        self.logs = [SharedLog(self.world, self.oracle, number) for number in range(1 + chance.below(2, "logs"))]
        self.fleet: list[list[Machine]] = [[] for _ in self.logs]
        for number, log in enumerate(self.logs):
            for place in range(chance.between(2, 3, "machines") if number == 0 else 1):
                self.fleet[number].append(
                    Machine(
                        self.world,
                        f"node-{number}{place}",
                        log,
                        self.oracle,
                        self.post,
                        self.deploys.current,
                        self.at_large,
                    )
                )
        if chance.happens(0.05, "long outage"):
            self.services[chance.below(4, "whose outage")].close(START + chance.between(70, 120, "outage ends") * SECOND)
        self.clients = [self._client(number) for number in range(chance.between(24, 34, "transactions"))]

    # --- what exists

    def machines(self) -> list[Machine]:
        """All of them."""
        return [machine for fleet in self.fleet for machine in fleet]

    def _services(self) -> list[Service]:
        chance = self.world.chance
        strength = chance.pick((0.0, 0.1, 0.25), "refusals")
        purges = chance.pick((0.0, 0.05, 0.3), "purges")
        refusals = {name: strength * 2 * chance.fraction("refusal", key_of(name)) for name in STEPS if name not in (*SURE, "print")}
        return [Service(self.world, number, self.ledger, refusals, purges) for number in range(4)]

    def _code(self) -> Code:
        chance = self.world.chance
        graphs = {f"graph-{n}": drawn_graph(chance, n, bare=self.bare) for n in range(6)}
        bodies = {f"function-{n}": Author(chance, n, bare=self.bare).program() for n in range(8)}
        timeouts = {name: chance.pick((0.6, 2.0, 5.0), "function timeout", key_of(name)) for name in bodies}
        holds = {f"holds-{n}": drawn_holds(chance, n, bare=self.bare) for n in range(8)}
        return Code(graphs, bodies, timeouts, holds=holds)

    def _client(self, number: int) -> Client:
        chance = self.world.chance
        log = 1 if len(self.logs) > 1 and chance.happens(0.25, "which log", number) else 0
        code = self.deploys.code
        definitions = [*code.graphs, *code.bodies]
        if chance.happens(0.2, "which pattern", number):
            definitions = [*code.holds]
        definition = chance.pick(definitions, "which saga", number)
        wish = Wish(
            f"tx-{number}",
            definition,
            code.form(definition),
            Raw(b"%d" % number),
            b"%016d" % number,
            chance.happens(0.3, "start", number),
            chance.pick(("finished", "decided"), "until", number),
        )
        client = Client(self.world, wish, self.fleet[log])
        self.world.after(chance.between(0, BEGINS, "begins", number), None, client.ask)
        return client

    # --- what goes wrong with all

    def at_large(self, fault: str) -> None:
        """A fault that concerns more than one machine."""
        self.world.note("world", fault)
        if fault == "all_down":
            down = self.world.delay(200 * MS, 6 * SECOND, "all down for")
            for machine in self.machines():
                machine.crash(down)
        else:
            self.deploys.strike(fault)

    # --- the run

    def whole(self) -> Result:
        """Both phases, then the checkers."""
        world = self.world
        world.run(START + SAFETY)
        self.calm()
        world.run(world.now + 2 * SECOND)
        self._nothing_orphaned()
        world.run(world.now + BOUND, self._checked_over)
        self._slow_retries_go_on()
        self._help_failed("retry")
        world.run(world.now + LONGEST + 2 * SECOND)
        world.run(world.now + BOUND, self._checked_over)
        self._help_failed("resolve")
        world.run(world.now + 10 * SECOND, self._closed)
        for promise, what in examine(self._end()):
            world.broken(promise, what)
        docs = self.docs()
        return Result(
            self.seed,
            tuple(world.violations),
            Counter(str(d.state) for d in docs.values()),
            world.faults.happened,
            world.seen,
            len(docs),
            world.events,
            world.digest() if world.traced else "",
            tuple(world.lines),
        )

    def calm(self) -> None:
        """Faults stop: processes wake or start, with code that knows all names; services come back."""
        self.world.note("world", "faults stop")
        self.world.faults.quiet = True
        self.deploys.settle()
        for service in self.services:
            service.down_until = service.closed_until
            service.stuck = False
        for shared in self.logs:
            shared.out_until = 0
            shared.poison.clear()
        for machine in self.machines():
            if machine.life is not None and machine.life.paused:
                machine.wake(machine.life)
            if machine.life is not None and machine.life.code is not self.deploys.code:
                machine.crash(50 * MS)
            self.world.after(60 * MS, None, machine.start)

    def _nothing_orphaned(self) -> None:
        """L3: a dead node's work goes on elsewhere, at once."""
        for shared in self.logs:
            for row in shared.log.orphans():
                self.world.broken("L3", f"{row.write.gid} is {row.write.state} and nobody alive owns it, 2 s after faults stopped")

    def _checked_over(self) -> bool:
        """Is everything over? Looked at now and then only."""
        return self.world.events % 64 == 0 and self._over()

    def _closed(self) -> bool:
        return not any(rows for shared in self.logs for rows in shared.log._open.values())

    def _over(self) -> bool:
        for shared in self.logs:
            for rows in shared.log._open.values():
                if any(row.write.state != State.FAILED or self._retried(row.uid) for row in rows.values()):
                    return False
        return True

    def _slow_retries_go_on(self) -> None:
        """L1: what needs a person is still asked for, slowly, unless asking could do harm."""
        for machine in self.machines():
            for live in machine.life.driver.open.values() if machine.life is not None else ():
                doc = live.saga.doc
                for branch in doc.branches:
                    stopped = branch.stuck and not (branch.due or branch.calling or doc.stuck or doc.resolving)
                    if stopped and "nobody can say" not in branch.reason:
                        self.world.broken("L1", f"{doc.gid}: nobody asks for {branch.id} any more: {branch.reason}")

    def _retried(self, uid: bytes) -> bool:
        """Do slow retries go on that may yet end it?"""
        return any(branch.due for branch in self.oracle.durable[uid].branches)

    def _help_failed(self, what: str) -> None:
        """A person looks at what failed: first all are retried, then what only a person can settle is resolved."""
        for shared, fleet in zip(self.logs, self.fleet, strict=True):
            for row in shared.log.rows.values():
                settleable = what == "retry" or for_a_person(self.oracle.durable[row.uid])
                if row.write.state == State.FAILED and not row.write.finished and settleable:
                    life = fleet[0].life
                    if life is not None:
                        self.operator.act(life, row.write.gid, what)

    def docs(self) -> dict[str, Transaction]:
        """The rows of all logs."""
        return {record.gid: doc_of(record) for shared in self.logs for record in map(shared.log.record, shared.log.rows.values())}

    def _end(self) -> End:
        for uid, node in list(self.oracle.since):
            self.oracle.rests(uid, node)
        code = self.deploys.code
        timeouts = {name: plan.timeout for name, plan in code.graphs.items()} | code.timeouts
        timeouts |= {name: holds.timeout for name, holds in code.holds.items()}
        return End(
            self.docs(),
            self.ledger,
            self.clients,
            self.strict,
            frozenset(self.deploys.edited),
            self.oracle.driven,
            timeouts,
            self.oracle.troubled,
        )
