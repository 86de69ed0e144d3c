"""Machines: they start a life of a node, sweep as the shipped node does, crash, pause, and start again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from troth.core import limits
from troth.core.move import Resolve, Retry
from troth.engine import ownership
from troth.engine.live import doc_of
from troth.ports.errors import StoreError, StoreUnavailable
from troth.ports.store import Record
from troth.testing.simulation.chance import key_of
from troth.testing.simulation.clients import Door
from troth.testing.simulation.code import Code
from troth.testing.simulation.faults import Site
from troth.testing.simulation.lives import Life
from troth.testing.simulation.oracle import Oracle
from troth.testing.simulation.post import Post
from troth.testing.simulation.stores import SharedLog
from troth.testing.simulation.world import MS, SECOND, World

if TYPE_CHECKING:
    from troth.engine.participants import Registry

SWEEP = int(limits.SWEEP_SECONDS * SECOND)
BEAT_EVERY = 5
"""Sweeps between two beats."""
CALM = 3
"""When nothing goes wrong any more, sweeps come so many times more slowly."""


class Machine:
    """A place where one node runs at a time.

    :param code: gives the code that a process started now has.
    :param at_large: told of faults that concern more than one machine.
    :ivar takeovers: (time of death, time of adoption) of what it adopted.
    """

    def __init__(
        self,
        world: World,
        name: str,
        shared: SharedLog,
        oracle: Oracle,
        post: Post,
        code: Callable[[], Code],
        at_large: Callable[[str], None],
    ) -> None:
        self.world = world
        self.name = name
        self.key = key_of(name)
        self.shared = shared
        self.oracle = oracle
        self.post = post
        self.code = code
        self.at_large = at_large
        self.resting = False
        """It sweeps no more: all is over, and only late messages are waited for."""
        self.lives = 0
        self.life: Life | None = None
        self.door: Door
        self.start()

    # --- life and death

    def start(self) -> None:
        """A process starts."""
        if self.life is not None and not self.life.dead:
            return
        self.lives += 1
        life = Life(self.world, f"{self.name}.{self.lives}", self.shared, self.oracle, self.post, self.code(), self._strike)
        self.life = life
        self.door = Door(life)
        self.world.note(life.name, f"starts as node {life.number}")
        self.world.after(self.world.delay(0, SWEEP, "first sweep", self.key), life, self.sweep, life, 0)

    def _strike(self, fault: str) -> None:
        life = self.life
        if life is None or life.dead:
            return
        if fault.startswith("pause"):
            self.pause(life)
        else:
            self.crash(self.world.spell(10 * MS, 1500 * MS, "down for", self.key))

    def crash(self, down: int) -> None:
        """The process dies; another starts ``down`` microseconds later."""
        life = self.life
        if life is None or life.dead:
            return
        self.world.note(life.name, "dies")
        life.dead = True
        for uid in list(life.driver.open):
            self.oracle.rests(uid, life.number)
        # the kernel frees a dead process's lock; what it had sent may be under way a little longer
        self.world.after(6 * MS, None, self.shared.log.kill, life.number)
        self.world.after(down, None, self.start)

    def pause(self, life: Life) -> None:
        """The process stands still; where liveness is judged by leases, it may be declared dead meanwhile."""
        if life.paused:
            return
        life.paused = True
        self.world.note(life.name, "is paused")
        if self.world.spell(1, 10, "lease runs out", self.key) <= 7:
            self.world.after(20 * MS, None, self._lease_over, life)
        self.world.after(self.world.spell(30 * MS, 2 * SECOND, "paused for", self.key), None, self.wake, life)

    def _lease_over(self, life: Life) -> None:
        if life.paused and not life.dead:
            self.shared.log.kill(life.number)

    def wake(self, life: Life) -> None:
        """It goes on where it stood, knowing nothing of the pause."""
        if life.dead or not life.paused:
            return
        life.paused = False
        self.world.note(life.name, "wakes")
        if self.shared.log.alive(life.number):
            self.shared.log.held.add(life.number)
        else:
            self.world.sometimes("a paused node wakes up declared dead")
        waiting, life.deferred = life.deferred, []
        for do, args in waiting:
            self.world.after(0, life, do, *args)

    # --- the sweep

    def sweep(self, life: Life, number: int) -> None:
        """One look around, as `engine.ownership.Sweeper` does it."""
        if self.resting:
            return
        self.world.after(SWEEP * CALM if self.world.faults.quiet else SWEEP, life, self.sweep, life, number + 1)
        fault = self.world.faults.at(Site.SWEEP, self.key)
        if fault:
            self.at_large(fault)
            if life.dead:
                return
        try:
            life.store.reach()
            self._look(life, number)
        except StoreError:
            return

    def _look(self, life: Life, number: int) -> None:
        memory = life.store.memory
        for node in memory.dead_nodes():
            life.store.bury(node)
        self._take_up_again(life)
        self._adopt_all(life)
        life.mark = max(life.mark, memory.mark())
        if number % BEAT_EVERY == 0:
            life.driver.journal.beat()
            life.journal_waits()
        for wish in memory.take():
            live = life.driver.by_gid.get(wish.gid)
            if live is not None:
                now = self.world.now
                life.driver.feed(live, Retry(now) if wish.what == "retry" else Resolve(now, wish.reason))
        self.door.look_up()

    def _adopt_all(self, life: Life) -> None:
        after = 0
        while page := life.store.memory.unfinished(after, limits.ADOPT_PAGE):
            after = page[-1].seq
            self._adopt(life, page)

    def _adopt(self, life: Life, page: list[Record]) -> None:
        plans = {}
        waiting: list[tuple[bytes, str]] = []
        for record in page:
            plan, missing = ownership.missing_code(cast("Registry", life.code), record)
            if plan is not None and not missing:
                plans[record.uid] = (plan, record)
            elif record.waiting != missing:
                self.world.sometimes("a transaction waits for code")
                waiting.append((record.uid, missing))
        if waiting:
            life.store.memory.set_waiting(waiting)
        if not plans:
            return
        got = life.store.memory.adopt(list(plans), self.world.now)
        if self.world.faults.at(Site.ADOPT, self.key) == "adopt_unanswered":
            life.undriven += [record.gid for _, record in plans.values()]
            self.world.sometimes("an adoption gets no answer")
            raise StoreUnavailable("the adoption got no answer")
        for uid in got:
            plan, record = plans[uid]
            self.world.note(life.name, f"adopts {record.gid}")
            self.note_adoption(record)
            self.oracle.drives(uid, life.number)
            life.driver.recover(life.driver.adopt(record, plan), record.claims + 1)

    def note_adoption(self, record: Record) -> None:
        """Rare adoptions are counted."""
        doc = doc_of(record)
        self.world.sometimes(f"{'an' if doc.form == 'open' else 'a'} {doc.form} is adopted while {doc.phase}")
        if any(b.unknown for b in doc.branches):
            self.world.sometimes("a branch is unknown when its saga is adopted")
        if doc.doom:
            self.world.sometimes("a saga is adopted while its pivot is in doubt and it is to be cancelled")

    def _take_up_again(self, life: Life) -> None:
        """What this node owns and does not drive: an adoption without an answer, a state that could not be stored."""
        gids, life.undriven = life.undriven, []
        for gid in gids:
            record = life.store.memory.get(gid)
            if isinstance(record, Record) and not record.finished and record.owner == life.number and gid not in life.driver.by_gid:
                plan = life.code.plan(record.definition, doc_of(record).form)
                if plan is not None:
                    self.oracle.drives(record.uid, life.number)
                    life.driver.recover(life.driver.adopt(record, plan), record.claims + 1)
