"""The calls of a transaction along time: when each was made, how long it took, what was answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from troth.cli import inks
from troth.cli.facts import Facts
from troth.cli.plain import clean, span

LINES = 40
"""Calls shown before the middle is left out."""
FIXED = 66
"""Characters a line beside the bar."""


class Attempt(NamedTuple):
    """One call.

    :ivar took: microseconds until its answer; None: there is none.
    :ivar word: the reply's word, or what stands for it.
    """

    branch: str
    op: str
    at: int
    took: int | None
    word: str


def attempts_of(facts: Facts) -> list[Attempt]:
    """All calls that the log knows of, oldest first."""
    return sorted(_attempts(facts), key=lambda attempt: attempt.at)


def _attempts(facts: Facts) -> Iterator[Attempt]:
    for branch in facts.doc.branches:
        for op, at, took, word in branch.trail:
            yield Attempt(branch.id, op, at, took, word)
        if branch.calling and not facts.finished:
            yield Attempt(branch.id, branch.op, branch.since, None, "in flight" if facts.owned else "no answer")


def table_of(facts: Facts, console: Console, now: int, *, full: bool) -> Table | None:
    """The timeline, or None if nothing was called yet."""
    attempts = attempts_of(facts)
    if not attempts:
        return None
    begin = min(facts.doc.begun, attempts[0].at)
    end = max([now if a.took is None else a.at + a.took for a in attempts] + [begin + 1])
    width = min(60, max(10, console.width - FIXED))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("after", justify="right", no_wrap=True)
    table.add_column("call", overflow="ellipsis", no_wrap=True, max_width=24)
    table.add_column("op", no_wrap=True)
    table.add_column(f"{span(end - begin)} in all", no_wrap=True, min_width=width)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("answer", no_wrap=True)
    for shown in shorter(attempts, full=full):
        table.add_row(
            *(line_of(shown, begin, end, width, now) if isinstance(shown, Attempt) else (Text(), Text(shown, "dim")))
        )
    return table


def shorter(attempts: list[Attempt], *, full: bool) -> list[Attempt | str]:
    """The calls to show: of many the first and the last ones."""
    if full or len(attempts) <= LINES:
        return list(attempts)
    half = LINES // 2
    return [*attempts[:half], f"… {len(attempts) - 2 * half} more (--full)", *attempts[-half:]]


def line_of(attempt: Attempt, begin: int, end: int, width: int, now: int) -> tuple[Text, ...]:
    """The cells of one call."""
    took = now - attempt.at if attempt.took is None else attempt.took
    style = inks.WORD.get(attempt.word, "blue")
    return (
        Text(f"+{span(attempt.at - begin)}", "dim"),
        Text(clean(attempt.branch)),
        Text(attempt.op),
        bar(attempt.at - begin, took, end - begin, width, style),
        Text(span(took) if attempt.took is not None or attempt.word == "in flight" else "-"),
        Text(attempt.word, style),
    )


def bar(start: int, took: int, whole: int, width: int, style: str) -> Text:
    """A call's place in the whole: at least one character, so that it can be seen."""
    left = min(width - 1, start * width // whole)
    right = max(left + 1, min(width, -(-(start + took) * width // whole)))
    text = Text("·" * left, "dim")
    return text.append("━" * (right - left), style).append("·" * (width - right), "dim")
