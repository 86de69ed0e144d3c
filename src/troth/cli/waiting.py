"""The doctor's checks of what is unfinished: who should drive it, what it waits for, what needs a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from troth.adapters.stores.sqlite import SqliteViewer
from troth.cli.facts import Nodes
from troth.cli.finding import Finding, fail, ok, warn
from troth.cli.plain import SECOND, clean, many, span
from troth.core.limits import CLAIMS_WITHOUT_PROGRESS
from troth.core.words import State
from troth.ports.store import Record

OLD = 3600 * SECOND
"""Microseconds after which an unfinished transaction that needs nobody is remarkable."""
RESTLESS = 3
"""Take-overs without progress after which a transaction is suspected of taking its nodes down."""
NAMED = 3
"""gids given as examples."""
PAGE = 500
OPEN = (State.TRYING, State.CONFIRMING, State.CANCELLING, State.FAILED)


def unfinished(reader: SqliteViewer) -> Iterator[Record]:
    """All unfinished transactions, oldest first."""
    after = 0
    while page := reader.find(states=OPEN, after_seq=after, limit=PAGE, newest_first=False):
        yield from (record for record in page if not record.finished)
        after = page[-1].seq


def check_work(records: Sequence[Record], nodes: Nodes, now: int) -> Iterator[Finding]:
    """All of them, one finding each."""
    yield node_check(records, nodes)
    yield code_check(records, nodes)
    yield person_check(records)
    yield poison_check(records)
    yield age_check(records, now)


def node_check(records: Sequence[Record], nodes: Nodes) -> Finding:
    """Is somebody there, and does nobody's work lie about?"""
    left = [record for record in records if record.owner not in nodes.alive and not record.waiting]
    dead = len({record.owner for record in left})
    if left and not nodes.alive:
        return warn(
            "nodes",
            f"no node is alive; {dead_text(dead)} left {many(len(left), 'unfinished transaction')} ({examples(left)})",
            "start a program that uses this log: it takes them over",
        )
    if left:
        return warn(
            "nodes",
            f"{many(len(nodes.alive), 'node')} alive; {many(len(left), 'transaction')} of {dead_text(dead)} "
            "not yet taken over",
            "look again in a second: living nodes take over by themselves",
        )
    return ok("nodes", f"{many(len(nodes.alive), 'node')} alive, {many(len(records), 'unfinished transaction')}")


def dead_text(count: int) -> str:
    """``1 dead node``."""
    return many(count, "dead node")


def code_check(records: Sequence[Record], nodes: Nodes) -> Finding:
    """Does something wait for code that no node has?"""
    waiting = [record for record in records if record.waiting and record.owner not in nodes.alive]
    if not waiting:
        return ok("code", "nothing waits for code")
    missing = sorted({clean(record.waiting) for record in waiting})
    return warn(
        "code",
        f"{many(len(waiting), 'transaction')} waiting for code: {'; '.join(missing)} ({examples(waiting)})",
        'start a node that has it: bring the code back, or bridge a rename with aliases=("old_name",)',
    )


def person_check(records: Sequence[Record]) -> Finding:
    """Does something need a person?"""
    failed = [record for record in records if record.state == State.FAILED]
    if not failed:
        return ok("failed", "nothing needs a person")
    need = f"{many(len(failed), 'transaction')} {'needs' if len(failed) == 1 else 'need'} a person"
    return warn("failed", f"{need} ({examples(failed)})", "troth show GID says what is open and what you can do")


def poison_check(records: Sequence[Record]) -> Finding:
    """Does some transaction seem to take its nodes down?"""
    parked = [record for record in records if record.claims > CLAIMS_WITHOUT_PROGRESS]
    restless = [record for record in records if record.claims >= RESTLESS]
    if parked:
        return fail(
            "poison",
            f"{many(len(parked), 'transaction')} parked after {CLAIMS_WITHOUT_PROGRESS} take-overs without progress "
            f"({examples(parked)}): driving it may have killed its nodes",
            "find out why in the nodes' own logs, then troth retry GID, or settle it and troth resolve GID",
        )
    if restless:
        most = max(record.claims for record in restless)
        return warn(
            "poison",
            f"{many(len(restless), 'transaction')} taken over up to {many(most, 'time')} without progress "
            f"({examples(restless)})",
            "look at why its nodes died: memory, crashes in native code, deploys in a row",
        )
    return ok("poison", "no transaction is taken over again and again")


def age_check(records: Sequence[Record], now: int) -> Finding:
    """Is something open for long that waits for nobody we named?"""
    old = [r for r in records if now - r.begun > OLD and r.state != State.FAILED and not r.waiting]
    if not old:
        return ok("age", "nothing is open for more than an hour, but for what is named above")
    oldest = span(max(now - record.begun for record in old))
    return warn(
        "age",
        f"{many(len(old), 'transaction')} open for more than an hour, the oldest for {oldest} ({examples(old)})",
        "troth show GID says what it waits for",
    )


def examples(records: Sequence[Record]) -> str:
    """Some gids."""
    named = ", ".join(clean(record.gid) for record in records[:NAMED])
    return named + (", …" if len(records) > NAMED else "")
