"""``troth retry`` and ``troth resolve``: a wish put into the log's mailbox, and what became of it."""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Iterator

import click

from troth.adapters.stores.sqlite import SqliteViewer
from troth.cli import answers
from troth.cli.advice import next_of
from troth.cli.asked import Asked, No, say_json
from troth.cli.clock import now as clock_now
from troth.cli.facts import Facts, facts_of, nodes_of
from troth.cli.opening import reader_of
from troth.cli.plain import clean, span
from troth.cli.showing import unknown
from troth.core.limits import REASON_LENGTH
from troth.core.words import State
from troth.ports.store import LedgerEntry, Request

LOOK = 0.05
"""Seconds between two looks at the row."""
FOLLOW = 3.0
"""Seconds a retried transaction is followed after the retry was carried out, to say how it goes on."""


def wish(how: Asked, gid: str, what: str, reason: str, timeout: float) -> None:
    """Post the wish and say what became of it.

    :param timeout: seconds to wait for a node to carry it out.
    :raises No: it is refused, or was not carried out in time.
    """
    if what == "resolve" and not reason.strip():
        raise click.UsageError("--reason must say what you did by hand, and why")
    if len(reason) > REASON_LENGTH:
        raise click.UsageError(f"--reason has {len(reason)} characters, at most {REASON_LENGTH} are kept")
    with reader_of(how) as reader:
        before = look(reader, gid)
        refuse_finished(before)
        (refuse_resolve if what == "resolve" else refuse_retry)(before)
        if not how.json:
            click.echo(announcement(before, what))
        reader.post(Request(gid, what, who(), reason, clock_now()))
        if not before.nodes.alive:
            tell_nobody(how, before, what)
            return
        after = follow(reader, before, what, timeout)
    tell(how, before, after, what, timeout)


def look(reader: SqliteViewer, gid: str) -> Facts:
    """The transaction as it is now.

    :raises No: there is none, or only the ledger knows it.
    """
    record = reader.get(gid)
    if record is None:
        raise unknown(gid)
    if isinstance(record, LedgerEntry):
        raise No(
            f"{clean(gid)} ended {record.outcome} and was purged: there is nothing to do for it.", "finished", gid=gid
        )
    return facts_of(record, nodes_of(reader))


def who() -> str:
    """Who wishes it: kept with the request."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


# --- what is refused


def refuse_finished(facts: Facts) -> None:
    """Nothing can be wished for a finished transaction."""
    if not facts.finished:
        return
    gid = clean(facts.record.gid)
    if facts.doc.closed:
        raise No(f"{gid} was closed by hand: {clean(facts.doc.closed)}. It stays as it is.", "finished", gid=gid)
    raise No(
        f"{gid} is {facts.record.state}: it is finished and nothing is owed for it. To do the business again, begin a "
        "transaction with another gid.", "finished", gid=gid, state=facts.record.state,
    )  # fmt: skip


def refuse_retry(facts: Facts) -> None:
    """Only what failed, or waits, can be hurried."""
    doc = facts.doc
    if doc.resolving:
        raise No(
            f"{clean(doc.gid)} is being closed by hand ({clean(doc.resolving)}): it is not retried any more.",
            "resolving",
        )
    waits = doc.state is State.FAILED or not facts.owned or doc.due or any(branch.due for branch in doc.branches)
    if not waits:
        raise No(
            f"{clean(doc.gid)} is {doc.state} and its node is at work on it: there is nothing to retry. "
            f"`troth show {clean(doc.gid)}` shows what comes next.", "at_work", gid=doc.gid, state=str(doc.state),
        )  # fmt: skip


def refuse_resolve(facts: Facts) -> None:
    """Only what failed can be closed by hand."""
    doc = facts.doc
    if doc.resolving:
        raise No(f"{clean(doc.gid)} is already being closed by hand: {clean(doc.resolving)}.", "resolving", gid=doc.gid)
    if doc.state is not State.FAILED:
        raise No(
            f"{clean(doc.gid)} is {doc.state}: only a failed transaction is closed by hand. It goes on by itself; "
            f"`troth show {clean(doc.gid)}` shows what comes next.", "not_failed", gid=doc.gid, state=str(doc.state),
        )  # fmt: skip


# --- what is said


def announcement(facts: Facts, what: str) -> str:
    """What the wish will do."""
    gid = clean(facts.record.gid)
    if what == "retry":
        return f"Another round of {gid} ({facts.record.state}): attempts are counted anew, pauses are cut short."
    return (
        f"Closing {gid} by hand: its retries are stopped for good, calls in flight are waited out, nothing more is "
        "called or undone. It stays failed, closed, with your reason."
    )


def tell_nobody(how: Asked, facts: Facts, what: str) -> None:
    """No node is alive: the wish waits in the log."""
    if how.json:
        say_json({"gid": facts.record.gid, "asked": what, "carried_out": False, "nodes_alive": []})
    else:
        click.echo(
            "No node is alive to read the mailbox. The wish is kept in the log and will be carried out by the next "
            "node that starts on it" + (" and has the code that is missing." if facts.record.waiting else ".")
        )


def tell(how: Asked, before: Facts, after: Facts, what: str, timeout: float) -> None:
    """What became of the wish.

    :raises No: it was not carried out in time.
    """
    gid = clean(before.record.gid)
    if not carried_out(before, after, what):
        raise No(
            f"not carried out within {timeout:g} s. {stuck_text(before, after)} The wish stays in the log until then; "
            f"`troth show {gid}` shows how it goes.", "not_yet", gid=before.record.gid, asked=what, carried_out=False,
        )  # fmt: skip
    now = clock_now()
    if how.json:
        say_json(
            {"gid": before.record.gid, "asked": what, "carried_out": True, "transaction": answers.summary(after, now)}
        )
    elif what == "resolve":
        click.echo(f"{gid} is closed: {clean(after.doc.closed)}")
    elif after.finished:
        click.echo(f"Retried: {gid} is {after.record.state} now.")
    elif after.doc.state is State.FAILED:
        click.echo(f"Retried: {gid} failed again: {after.why}. `troth show {gid}` lists what is open.")
    else:
        click.echo(f"Retried: {gid} is {after.record.state}. Next: {' '.join(next_of(after, now))}")


def stuck_text(before: Facts, after: Facts) -> str:
    """Why a wish may take longer."""
    calling = [branch for branch in after.doc.branches if branch.calling]
    if after.waits_for:
        return f"The transaction is {after.waits_for}."
    if calling:
        since = span(max(0, clock_now() - calling[0].since))
        return f"{clean(calling[0].id)}: {calling[0].op} is in flight since {since} and is waited out first."
    return f"Node {after.nodes.text(before.record.owner)} has not read its mailbox: it may be paused, or very busy."


# --- waiting


def follow(reader: SqliteViewer, before: Facts, what: str, timeout: float) -> Facts:
    """Look at the row until the wish is carried out, and a little longer; the newest facts."""
    now = before
    for now in looks(reader, before.record.gid, timeout):
        if carried_out(before, now, what):
            break
    if what == "retry" and carried_out(before, now, what) and not settled(now):
        for now in looks(reader, before.record.gid, min(timeout, FOLLOW)):
            if settled(now):
                break
    return now


def looks(reader: SqliteViewer, gid: str, timeout: float) -> Iterator[Facts]:
    """The facts, again and again, for so many seconds; at least once."""
    until = time.monotonic() + timeout
    while True:
        yield look(reader, gid)
        if time.monotonic() >= until:
            return
        time.sleep(LOOK)


def settled(facts: Facts) -> bool:
    """Nothing more is to be expected soon."""
    return facts.finished or facts.doc.state is State.FAILED


def carried_out(before: Facts, now: Facts, what: str) -> bool:
    """Did the owner do what was wished? A retry is written as a new revision, a closing as an end."""
    if what == "resolve":
        return bool(now.doc.closed)
    return now.finished or now.record.rev > before.record.rev
