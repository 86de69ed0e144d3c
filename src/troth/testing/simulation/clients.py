"""Clients: they begin with a gid, ask again elsewhere with the same, lose answers, and remember what they were told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Raw

from troth.core.state import Transaction
from troth.core.words import FINAL, State
from troth.engine.live import Live, doc_of, satisfied, satisfied_doc
from troth.ports.errors import NotAccepted, StoreError
from troth.ports.store import Record, Request
from troth.testing.simulation.chance import key_of
from troth.testing.simulation.faults import Site
from troth.testing.simulation.lives import Life
from troth.testing.simulation.world import MS, SECOND, World

if TYPE_CHECKING:
    from troth.testing.simulation.machines import Machine


class Told(NamedTuple):
    """What a client was told."""

    until: str
    state: State
    phase: State
    result: bytes


class Wish(NamedTuple):
    """What a client asks for.

    :param durable: ``start``: the accept is forced before the function runs.
    """

    gid: str
    definition: str
    form: str
    input: Raw
    content: bytes
    durable: bool
    until: str


class Client:
    """One client with one transaction.

    :param machines: where it may ask.
    """

    def __init__(self, world: World, wish: Wish, machines: list[Machine]) -> None:
        self.world = world
        self.wish = wish
        self.machines = machines
        self.key = key_of(wish.gid)
        self.history: list[Told] = []
        self.conflicts = 0
        self.satisfied = False
        self.rejected = False
        self.asked = 0

    def ask(self) -> None:
        """Ask some node, and again later if no answer comes."""
        if self.satisfied:
            return
        self.asked += 1
        self._ask_one(self.wish)
        fault = self.world.faults.at(Site.CLIENT, self.key)
        if fault == "client_repeats":
            self.world.after(self.world.delay(0, 30 * MS, "client repeats", self.key), None, self._ask_one, self.wish)
        elif fault == "other_content":
            other = self.wish._replace(content=b"o" * 16, input=Raw(b'"other"'))
            self.world.after(self.world.delay(1, 2 * SECOND, "other content", self.key), None, self._ask_one, other)
        patience = self.world.delay(1 * SECOND, 4 * SECOND, "patience", self.key)
        self.world.after(patience * min(self.asked, 4), None, self.ask)

    def _ask_one(self, wish: Wish) -> None:
        machine = self.world.chance.pick(self.machines, "client asks", self.key)
        life = machine.life
        if life is None or life.dead or life.paused:
            return
        door = machine.door
        if wish is not self.wish and not self.history:
            return  # the other content comes second, or it would be the first
        door.submit(self, wish)

    # --- answers

    def hear(self, until: str, doc: Transaction) -> None:
        """An answer has come."""
        if self.world.faults.at(Site.CLIENT, self.key ^ 1) == "client_loses_answer":
            return
        self.history.append(Told(until, doc.state, doc.phase, bytes(doc.result)))
        self.world.note("client", f"{doc.gid}: told {until}: {doc.state}")
        if doc.state in FINAL or doc.closed or doc.state is State.FAILED:
            self.satisfied = True

    def conflict(self, wish: Wish) -> None:
        """The gid belongs to other content."""
        self.conflicts += 1
        self.world.sometimes("a gid is asked for with other content")
        if wish is self.wish:
            self.world.broken("S3", f"{wish.gid}: its own content was called other content")


class Door:
    """Where clients come in at one life of a node."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.waiting: list[tuple[Client, str]] = []
        life.on_lost = self.lost
        self.tellers: dict[Callable[[Live], None], tuple[Client, str]] = {}

    def submit(self, client: Client, wish: Wish) -> None:
        """Attach to the transaction, or begin it."""
        life = self.life
        live = life.driver.by_gid.get(wish.gid)
        if live is not None:
            if live.content != wish.content:
                client.conflict(wish)
            else:
                self.world_attached()
                self.watch(client, live)
            return
        try:
            life.store.reach()
            found = life.store.memory.get(wish.gid)
        except StoreError:
            return
        if isinstance(found, Record):
            if found.content != wish.content:
                client.conflict(wish)
            else:
                self.world_attached()
                self.waiting.append((client, wish.until))
                self.look_up()
        elif wish is client.wish:
            self._begin(client, wish)

    def world_attached(self) -> None:
        """Counted: a second begin attaches."""
        self.life.world.sometimes("a begin attaches to what exists")

    def _begin(self, client: Client, wish: Wish) -> None:
        life = self.life
        plan = life.code.plan(wish.definition, wish.form)
        if plan is None:
            return
        try:
            life.driver.admit()
        except NotAccepted:
            life.world.sometimes("a transaction is not accepted")
            return
        life.begun += 1
        uid = life.number.to_bytes(4, "big") + life.key.to_bytes(8, "big") + life.begun.to_bytes(4, "big")
        life.oracle.drives(uid, life.number)
        opens = wish.form == "open"
        live = life.driver.begin(
            plan, gid=wish.gid, uid=uid, content=wish.content, input=wish.input, fresh=False,
            force=wish.durable or wish.form == "graph", host=life.initiator if opens else None,
            branches=life.code.branches(wish.definition, wish.input) if wish.form == "declared" else (),
        )  # fmt: skip
        if opens:
            life.driver.watch(live, "accepted", lambda live: live.host.start())
        self.watch(client, live)

    def watch(self, client: Client, live: Live) -> None:
        """Tell the client what it waits for from the durable state."""
        if client.wish.durable:
            life_told = self._teller(client, "accepted")
            life_told_now = live.durable is not None and satisfied(live.durable, "accepted")
            if life_told_now:
                life_told(live)
            else:
                self.life.driver.watch(live, "accepted", life_told)
        self.life.driver.watch(live, client.wish.until, self._teller(client, client.wish.until))

    def _teller(self, client: Client, until: str) -> Callable[[Live], None]:
        life = self.life

        def told(live: Live) -> None:
            if not life.dead and live.durable is not None:
                life.oracle.told(until, live.durable.doc)
                client.hear(until, live.durable.doc)
                if until == "decided" and live.durable.doc.state not in FINAL and not client.satisfied:
                    life.driver.watch(live, "finished", self._teller(client, "finished"))

        self.tellers[told] = (client, until)
        return told

    def lost(self, live: Live) -> None:
        """The transaction is no longer driven here: ask the log instead."""
        waiters, live.waiters = live.waiters, []
        for _, told in waiters:
            found = self.tellers.get(told)
            if found is not None:
                self.waiting.append(found)

    def look_up(self) -> None:
        """Look into the log for those who wait for what others drive."""
        still: list[tuple[Client, str]] = []
        for client, until in self.waiting:
            found = self.life.store.memory.get(client.wish.gid)
            if isinstance(found, Record) and found.content == client.wish.content:
                doc = doc_of(found)
                if satisfied_doc(doc, until):
                    client.hear(until, doc)
                    if doc.state in FINAL or doc.state is State.FAILED:
                        continue
                    until = "finished"
            if not client.satisfied:
                still.append((client, until))
        self.waiting = still


class Operator:
    """Looks after what needs a person."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.closed: set[str] = set()

    def act(self, life: Life, gid: str, what: str) -> None:
        """Put a wish into the mailbox."""
        if what == "resolve":
            self.closed.add(gid)
        life.store.memory.post(Request(gid, what, "operator", "settled by hand", self.world.now))
        self.world.sometimes(f"a person asks to {what}")
