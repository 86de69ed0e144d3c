"""``troth show``: one transaction, its branches as a tree, its calls along time, and what comes next."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from troth.cli import answers, inks, timeline
from troth.cli.advice import by_hand, next_of
from troth.cli.asked import Asked, No, say_json
from troth.cli.branches import tree_of
from troth.cli.clock import now as clock_now
from troth.cli.facts import Facts, facts_of, nodes_of
from troth.cli.opening import reader_of
from troth.cli.plain import clean, iso, many, moment, span, value
from troth.core.limits import RETENTION_DAYS
from troth.ports.store import LedgerEntry


def show_transaction(how: Asked, gid: str, *, full: bool) -> None:
    """Print it.

    :raises No: there is none.
    """
    with reader_of(how) as reader:
        record = reader.get(gid)
        nodes = nodes_of(reader)
    now = clock_now()
    if record is None:
        raise unknown(gid)
    if isinstance(record, LedgerEntry):
        show_ledger(how, gid, record, now)
        return
    facts = facts_of(record, nodes)
    if how.json:
        say_json({**answers.whole(facts, now), "next": next_of(facts, now), "by_hand": by_hand(facts)})
        return
    print_facts(facts, inks.console(), now, full=full)


def unknown(gid: str) -> No:
    """There is no such transaction."""
    return No(
        f"no transaction {clean(gid)} in this log: it never began here, or it is older than the retention. "
        "`troth list` shows what there is.", "unknown_transaction",
    )  # fmt: skip


def show_ledger(how: Asked, gid: str, entry: LedgerEntry, now: int) -> None:
    """One that was purged: only how it ended is left."""
    if how.json:
        say_json({"gid": gid, "ledger": True, "state": entry.outcome, "ended": iso(entry.finished)})
        return
    head = Text(clean(gid), "bold").append("  ").append_text(inks.state(entry.outcome))
    console = inks.console()
    console.print(head)
    console.print(
        f"Ended {moment(entry.finished)}, {span(max(0, now - entry.finished))} ago. Only this ledger entry is left: "
        f"its branches were purged after the retention ({RETENTION_DAYS} days by default). The gid stays taken."
    )


def print_facts(facts: Facts, console: Console, now: int, *, full: bool) -> None:
    """Header, branches, timeline, what comes next."""
    console.print(headline(facts))
    console.print(header_of(facts, now, full=full))
    console.print()
    console.print(tree_of(facts, console.width, full=full))
    calls = timeline.table_of(facts, console, now, full=full)
    if calls is not None:
        console.print()
        console.print(calls)
        if not facts.finished:
            ago = span(max(0, now - facts.record.updated))
            console.print(f"Last written {ago} ago; later attempts join the log with its next write.", style="dim")
    print_lines(console, "next", next_of(facts, now))
    print_lines(console, "what you can do", by_hand(facts))


FORMS = {"function": "function saga", "graph": "declared saga", "declared": "declared tcc", "open": "tcc of an initiator"}
"""How each form is called in a headline."""


def headline(facts: Facts) -> Text:
    """The gid, its state and what it is an instance of."""
    text = Text(clean(facts.record.gid), "bold").append("  ").append_text(inks.state(facts.state))
    if str(facts.doc.phase) != facts.record.state and not facts.finished:
        text.append(f" while {facts.doc.phase}")
    form = FORMS.get(facts.doc.form, facts.doc.form)
    return text.append(f"  {clean(facts.record.definition)}").append(f" ({form})", "dim")


def header_of(facts: Facts, now: int, *, full: bool) -> Table:
    """Name and value, line by line."""
    record, doc = facts.record, facts.doc
    width = 0 if full else 400
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    lasted = (
        f"took {span(facts.took(now))}" if facts.finished else f"{span(max(0, now - record.begun))} ago, unfinished"
    )
    grid.add_row("begun", Text(f"{moment(record.begun)}, {lasted}"))
    if facts.finished:
        grid.add_row("ended", Text(f"{moment(record.finished)}, {span(max(0, now - record.finished))} ago"))
    grid.add_row("node", Text(facts.nodes.text(record.owner), "" if facts.owned or facts.finished else "red"))
    if record.claims:
        grid.add_row("taken over", Text(f"{many(record.claims, 'time')} without progress"))
    if facts.waits_for:
        grid.add_row("waits", Text(facts.waits_for, "yellow"))
    if facts.why:
        at = f" (at {clean(doc.step)})" if doc.step and not doc.closed else ""
        grid.add_row("reason", Text(facts.why + at))
    if doc.closed and doc.reason:
        grid.add_row("failed for", Text(clean(doc.reason)))
    if doc.pattern == "saga":  # a tcc's are its branches' own
        grid.add_row("input", Text(value(doc.input, width)))
    if doc.pattern == "saga" and (doc.returned or record.state == "confirmed"):
        grid.add_row("result", Text(value(doc.result, width)))
    return grid


def print_lines(console: Console, title: str, lines: list[str]) -> None:
    """A titled paragraph; nothing if there are no lines."""
    if not lines:
        return
    console.print()
    console.print(title, style="bold")
    for line in lines:
        deeper = len(line) - len(line.lstrip(" "))
        console.print(Padding(Text(line.strip()), (0, 0, 0, 2 + deeper)))
