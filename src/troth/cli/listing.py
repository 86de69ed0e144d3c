"""``troth list``: the newest transactions in a table, and how many there are in each state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import click
from rich.table import Table
from rich.text import Text

from troth.adapters.stores.sqlite import SqliteViewer
from troth.cli import answers, inks
from troth.cli.asked import Asked, say_json
from troth.cli.clock import now as clock_now
from troth.cli.facts import Facts, Nodes, facts_of, nodes_of, open_of, real
from troth.cli.opening import reader_of
from troth.cli.plain import clean, cut, many, since, span
from troth.core.words import State

OPEN = (State.TRYING, State.CONFIRMING, State.CANCELLING, State.FAILED)
ORDER = tuple(str(state) for state in State)
PAGE = 200
GID_WIDTH = 40
"""Characters of a gid on one line; longer ones are folded, never cut, so that they can be copied."""
REASON_WIDTH = 80
"""Characters of a reason: `troth show` has it whole."""


class Wanted(NamedTuple):
    """The filters as given."""

    states: tuple[str, ...] = ()
    only_open: bool = False
    since: str | None = None
    definition: str = ""
    limit: int = 50


def list_transactions(how: Asked, wanted: Wanted) -> None:
    """Print the list."""
    now = clock_now()
    begun = begun_since(wanted.since, now)
    with reader_of(how) as reader:
        nodes = nodes_of(reader)
        found = list(matching(reader, wanted, begun, nodes))
        counts = reader.counts()
    more = len(found) > wanted.limit
    found = found[: wanted.limit]
    if how.json:
        listed = [answers.summary(facts, now) for facts in found]
        say_json({"transactions": listed, "more": more, "counts": counts, "nodes_alive": sorted(nodes.alive)})
        return
    console = inks.console()
    if found:
        console.print(table_of(found, now))
    else:
        console.print(
            "No transaction matches." if sum(counts.values()) else "The log is empty: nothing was begun in it yet."
        )
    if more:
        console.print(f"… and more: only the newest {wanted.limit} are shown (--limit, --state, --since).", style="dim")
    console.print(foot(counts, nodes))


def begun_since(text: str | None, now: int) -> int:
    """``--since`` in microseconds; 0 if it was not given."""
    if not text:
        return 0
    try:
        return since(text, now)
    except ValueError as error:
        raise click.UsageError(
            f"--since {text!r} is neither a span (2h, 1h30m, 7d) nor a date (2026-11-24T08:00)"
        ) from error


def matching(reader: SqliteViewer, wanted: Wanted, begun: int, nodes: Nodes) -> Iterator[Facts]:
    """The transactions wanted, newest first, and one more than the limit if there are more."""
    states = wanted.states
    if wanted.only_open:
        states = tuple(state for state in OPEN if not states or state in states)
        if not states:
            return
    left, after = wanted.limit + 1, 0
    while left > 0:
        page = reader.find(
            states=states, since=begun, definition=wanted.definition, after_seq=after, limit=min(PAGE, left)
        )
        for record in page:
            if not (wanted.only_open and record.finished):
                left -= 1
                yield facts_of(record, nodes)
        if len(page) == 0:
            return
        after = page[-1].seq


def table_of(found: list[Facts], now: int) -> Table:
    """One line a transaction."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    longest = max(len(clean(facts.record.gid)) for facts in found)
    table.add_column("gid", overflow="fold", min_width=min(longest, GID_WIDTH), max_width=GID_WIDTH)
    table.add_column("definition", overflow="ellipsis", max_width=24, no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("age", "took", "open"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("node", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for facts in found:
        table.add_row(*line_of(facts, now))
    return table


def line_of(facts: Facts, now: int) -> tuple[Text, ...]:
    """The cells of one line."""
    record, doc = facts.record, facts.doc
    return (
        Text(clean(record.gid)),
        Text(clean(record.definition)),
        inks.state(facts.state),
        Text(span(max(0, now - record.begun))),
        Text(span(facts.took(now)), "" if facts.finished else "dim"),
        Text(f"{len(open_of(doc))}/{len(real(doc))}", "dim" if facts.finished else ""),
        node_of(facts),
        reason_of(facts),
    )


def node_of(facts: Facts) -> Text:
    """Who drives it, or drove it to its end."""
    owner = facts.record.owner
    if facts.finished:
        return Text(str(owner) if owner else "-", "dim")
    if facts.owned:
        return Text(f"{owner} alive", "green")
    return Text(f"{owner} dead" if owner else "none", "red")


def reason_of(facts: Facts) -> Text:
    """Why it is as it is; first of all what it waits for."""
    waits = facts.waits_for
    text = Text(waits, "yellow")
    if waits and facts.why:
        text.append("; ", "dim")
    return text.append(cut(facts.why, REASON_WIDTH), "dim" if facts.finished else "")


def foot(counts: dict[str, int], nodes: Nodes) -> Text:
    """Totals by state, and the nodes that live."""
    text = Text(f"\n{many(sum(counts.values()), 'transaction')}")
    for name in sorted(counts, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER)):
        if counts[name]:
            text.append(" · ").append(f"{counts[name]} {name}", inks.STATE.get(name, ""))
    alive = many(len(nodes.alive), "node") if nodes.alive else "no node"
    return text.append(" · ").append(f"{alive} alive", "" if nodes.alive else "red")
