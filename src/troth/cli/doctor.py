"""``troth doctor``: one line a check, each with a cure; exit code 1 if one fails."""

from __future__ import annotations

from collections.abc import Iterator

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from troth.adapters.stores.sqlite.health import examine as examine_files
from troth.cli import inks
from troth.cli.asked import Asked, say_json
from troth.cli.clock import now as clock_now
from troth.cli.code import Unloadable, check_code, load, unloadable
from troth.cli.facts import nodes_of
from troth.cli.finding import Finding
from troth.cli.opening import existing, reader_of
from troth.cli.plain import clean, many
from troth.cli.vitals import check_files
from troth.cli.waiting import check_work, unfinished

LEVEL = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def examine(how: Asked, code: str | None) -> None:
    """Print what was found.

    :param code: ``module:attribute`` of a Troth object to check against what is in flight.
    :raises SystemExit: with 1 if a check failed.
    """
    found = list(findings(how, code))
    failed = sum(finding.level == "fail" for finding in found)
    if how.json:
        say_json({"ok": not failed, "checks": [finding._asdict() for finding in found]})
    else:
        print_findings(found)
    if failed:
        raise SystemExit(1)


def findings(how: Asked, code: str | None) -> Iterator[Finding]:
    """All checks; those that need the log's contents only where it can be read."""
    if code and not how.store:
        try:
            how = Asked(load(code).store_url, how.json)
        except Unloadable as error:
            yield unloadable(error)
            return
    path = existing(how)
    vitals = examine_files(str(path))
    found = list(check_files(vitals))
    yield from found
    if any(finding.level == "fail" for finding in found):
        return
    with reader_of(how) as reader:
        nodes = nodes_of(reader)
        records = list(unfinished(reader))
        yield from check_work(records, nodes, clock_now())
        if code:
            yield from check_code(code, records)


def print_findings(found: list[Finding]) -> None:
    """A table, and a sum."""
    console = inks.console()
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in found:
        text = Text(clean_lines(finding.text))
        if finding.cure:
            text.append("\n→ ", "dim").append(clean_lines(finding.cure), "cyan")
        table.add_row(Text(finding.level, LEVEL[finding.level]), Text(finding.check, "bold"), text)
    console.print(table)
    bad, doubtful = (sum(finding.level == level for finding in found) for level in ("fail", "warn"))
    summary = [many(bad, "failure")] * bool(bad) + [many(doubtful, "warning")] * bool(doubtful)
    console.print(Padding(Text(", ".join(summary) or "All is well.", "" if summary else "green"), (1, 0, 0, 0)))


def clean_lines(text: str) -> str:
    """Text that can't command a terminal, its lines kept."""
    return "\n".join(clean(line) for line in text.split("\n"))
