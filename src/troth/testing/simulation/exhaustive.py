"""The exhaustive walk: one small transaction, every fault at every opportunity, and every pair of faults.

After SQLite's way of failing at the n-th opportunity: a run without faults shows where one could strike; then each kind
strikes at each place, alone and before each kind at each later place of the run that it leads to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Raw

from troth.engine.live import doc_of
from troth.testing.simulation.chance import Chance, key_of
from troth.testing.simulation.checkers import End, examine
from troth.testing.simulation.clients import Client, Wish
from troth.testing.simulation.code import Code, Holds
from troth.testing.simulation.faults import FAULTS, Script, Site
from troth.testing.simulation.graphs import Shape, plan_of
from troth.testing.simulation.machines import Machine
from troth.testing.simulation.oracle import Oracle
from troth.testing.simulation.post import LONGEST, Post
from troth.testing.simulation.programs import Body, Call, Gather, Hurry, Swallow
from troth.testing.simulation.services import Ledger, Service
from troth.testing.simulation.stores import SharedLog
from troth.testing.simulation.world import MS, SECOND, START, World

MENU = {site: tuple(fault.name for fault in FAULTS if fault.site is site and fault.scripted) for site in Site}
WITHIN = 130 * SECOND
"""L1: after any two faults the transaction ends within this time."""
FAR = 40
"""Opportunities after the first fault at which a second one is tried."""


class Scene(NamedTuple):
    """One small transaction.

    :param shape: a graph, or
    :param body: a function.
    :param holds: a TCC, or
    :param refuses: the step whose participant says no; "": none.
    """

    name: str
    shape: Shape = ()
    body: Body = ()
    holds: Holds | None = None
    refuses: str = ""


class Play(NamedTuple):
    """One run of a scene.

    :param strikes: opportunity -> fault.
    :param sites: the opportunities that there were.
    """

    strikes: dict[int, str]
    sites: list[Site]
    problems: list[str]
    state: str
    lines: list[str]


def scenes() -> list[Scene]:
    """Two steps, one after the other or side by side, in both forms, with each refusing branch."""
    found = []
    for refuses in ("", "book", "pack"):
        says = f", {refuses} refuses" if refuses else ""
        found += [
            Scene(f"graph book then pack{says}", shape=(("book", (), False), ("pack", (0,), True)), refuses=refuses),
            Scene(f"graph book beside pack{says}", shape=(("book", (), False), ("pack", (), False)), refuses=refuses),
            Scene(f"function book then pack{says}", body=(Call("book", 1), Call("pack", 2, True)), refuses=refuses),
            Scene(
                f"function book beside pack{says}",
                body=(Gather(((Call("book", 1),), (Call("pack", 2),))),),
                refuses=refuses,
            ),
        ]
    return found


def longer_scenes() -> list[Scene]:
    """Three steps: with a pivot, with retriable steps, with bare ones, with another way to go."""
    found = []
    for refuses in ("", "book", "commit"):
        says = f", {refuses} refuses" if refuses else ""
        found += [
            Scene(
                f"graph book, commit, ship{says}",
                shape=(("book", (), False), ("commit", (0,), False), ("ship", (1,), False)),
                refuses=refuses,
            ),
            Scene(
                f"function book, commit, ship{says}",
                body=(Call("book", 1), Call("commit", 2), Call("ship", 3)),
                refuses=refuses,
            ),
        ]
    side_by_side = Gather(((Call("book", 1),), (Call("pack", 2),)))
    beside: Shape = (("book", (), False), ("pack", (), False), ("ship", (0, 1), False))
    bare_result: Shape = (("mail", (), False), ("book", (0,), True), ("pack", (1,), False))
    found += [
        Scene("graph book beside pack, then ship", shape=beside),
        Scene("graph mail, then book with its result, then pack", shape=bare_result),
        Scene("function another way", body=(Call("book", 1, False, (Call("pack", 2),)), Call("charge", 3)), refuses="book"),
        Scene("function book beside pack, then ship", body=(side_by_side, Call("ship", 3))),
    ]
    return found


def tcc_scenes(size: int) -> list[Scene]:
    """Declared and open loops of so many branches, and one of a nested try, with each refusing branch."""
    steps = ("seat", "fund", "room")[:size]
    found = []
    for refuses in ("", *steps):
        says = f", {refuses} refuses" if refuses else ""
        body = tuple(Call(step, number) for number, step in enumerate(steps))
        found += [
            Scene(f"declared {' '.join(steps)}{says}", holds=Holds("declared", steps), refuses=refuses),
            Scene(f"open {' '.join(steps)}{says}", holds=Holds("open", body=body), refuses=refuses),
        ]
    return found


def nested_scenes() -> list[Scene]:
    """A try that calls others, alone and beside another, with a refusing child, and swallowed."""
    found = [
        Scene(f"declared {step}{says}", holds=Holds("declared", (step,)), refuses=refuses)
        for step, refuses, says in (("trip", "", ""), ("trip", "fund", ", fund refuses"), ("tour", "", ""))
    ]
    swallows: Body = (Call("seat", 1), Swallow((Call("fund", 2),)))
    hurries: Body = (Call("seat", 1), Swallow((Hurry("fund", 2, 2_000),)))
    return [
        *found,
        Scene("open, swallows a refusal", holds=Holds("open", body=swallows), refuses="fund"),
        Scene("open, stops waiting", holds=Holds("open", body=hurries)),
    ]


def play(scene: Scene, strikes: dict[int, str], *, traced: bool = False) -> Play:
    """Run a scene with these strikes."""
    return Stage(scene, strikes, traced=traced).whole()


def walk(scene: Scene, faults: int) -> Iterator[Play]:
    """Every run of the scene with up to so many faults (1 or 2)."""
    base = play(scene, {})
    yield base
    for first in strikes_after(-1, base.sites):
        one = play(scene, first)
        yield one
        if faults > 1:
            for second in strikes_after(max(first), one.sites):
                yield play(scene, {**first, **second})


def strikes_after(last: int, sites: list[Site]) -> Iterator[dict[int, str]]:
    """Each fault at each opportunity after the last one."""
    for number in range(last + 1, min(len(sites), last + 1 + FAR)):
        for name in MENU[sites[number]]:
            yield {number: name}


class Stage:
    """A scene under way: two nodes, one log, one client."""

    def __init__(self, scene: Scene, strikes: dict[int, str], *, traced: bool) -> None:
        self.strikes = strikes
        self.script = Script(strikes)
        self.world = World(Chance(0), self.script, traced=traced)
        self.world.salt = key_of(",".join(f"{number}{name}" for number, name in strikes.items()))
        self.oracle = Oracle(self.world)
        self.ledger = Ledger()
        refusals = {scene.refuses: 1.0} if scene.refuses else {}
        services = [Service(self.world, number, self.ledger, refusals, 0.2) for number in range(4)]
        graphs = {"scene": plan_of("scene", scene.shape, 3.0)} if scene.shape else {}
        bodies, holds = ({}, {"scene": scene.holds}) if scene.holds else ({"scene": scene.body}, {})
        self.code = Code(graphs, bodies, {"scene": 3.0}, holds=holds)
        form = self.code.form("scene")
        self.shared = SharedLog(self.world, self.oracle, 0)
        post = Post(self.world, services)
        self.machines = [
            Machine(self.world, f"node-{n}", self.shared, self.oracle, post, self._code, self._nothing) for n in range(2)
        ]
        self.client = Client(self.world, Wish("tx", "scene", form, Raw(b"1"), b"c" * 16, False, "finished"), self.machines)
        self.world.after(150 * MS, None, self.client.ask)

    def _code(self) -> Code:
        return self.code

    def _nothing(self, fault: str) -> None:
        """No fault of a script concerns more than one machine."""

    def whole(self) -> Play:
        """The run, then the checkers."""
        world = self.world
        world.run(START + WITHIN, self._over)
        for machine in self.machines:
            machine.resting = True
        world.run(world.now + LONGEST + 2 * SECOND)
        for uid, node in list(self.oracle.since):
            self.oracle.rests(uid, node)
        rows = self.shared.log.rows.values()
        docs = {row.write.gid: doc_of(self.shared.log.record(row)) for row in rows}
        end = End(docs, self.ledger, [self.client], False, frozenset(), self.oracle.driven, {"scene": 3.0}, self.oracle.troubled)
        for promise, what in examine(end):
            world.broken(promise, what)
        state = docs["tx"].state if "tx" in docs else ""
        return Play(self.strikes, self.script.sites, world.violations, state, world.lines)

    def _over(self) -> bool:
        self.script.quiet = self.world.now > START + 4 * SECOND
        row = self.shared.log.rows.get("tx")
        return row is not None and bool(row.write.finished) and self.client.satisfied
