"""``troth check-participant``: what was asked for, checked; and the rulings, as a table or as JSON."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

import click
import msgspec
from msgspec import Raw
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from troth.cli import inks
from troth.cli.asked import Asked, say_json
from troth.cli.clock import now
from troth.cli.participant.asking import Target
from troth.cli.participant.clauses import Examination, Ruling
from troth.cli.plain import clean, many
from troth.core.words import Op
from troth.wire.signing import BadSecret, Signer

LEVEL = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}


class Wish(NamedTuple):
    """The command's own arguments."""

    url: str
    arguments: str
    undo: str | None
    tcc: bool
    secrets: tuple[str, ...]
    headers: tuple[str, ...]
    timeout: float


def examine(how: Asked, wish: Wish) -> None:
    """Print what was found.

    :raises click.UsageError: if an argument is none.
    :raises SystemExit: with 1 if a clause doesn't hold.
    """
    target = target_of(wish)
    found = list(Examination(target).run())
    failed = sum(ruling.level == "fail" for ruling in found)
    if how.json:
        say_json({"url": target.url, "ok": not failed, "clauses": [ruling._asdict() for ruling in found]})
    else:
        print_rulings(found)
    if failed:
        raise SystemExit(1)


def target_of(wish: Wish) -> Target:
    """What is to be examined.

    :raises click.UsageError: naming the argument and what would do.
    """
    for name, url in (("URL", wish.url), ("--undo", wish.undo)):
        if url is not None and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc):
            raise click.UsageError(f"{name}: {url!r} is no URL. Give one like http://localhost:8000/troth/steps/reserve")
    try:
        msgspec.json.decode(wish.arguments, type=dict[str, Raw])
    except msgspec.DecodeError as error:
        raise click.UsageError(f"--args: {wish.arguments!r} is no JSON object ({error})") from error
    try:
        signer = Signer(wish.secrets) if wish.secrets else None
    except BadSecret as error:
        raise click.UsageError(f"--secret: {error}") from error
    headers = {}
    for header in wish.headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise click.UsageError(f"--header: {header!r} is none. Give one like 'Authorization: Bearer …'")
        headers[name.strip().lower()] = value.strip()
    undo = Op.CANCEL if wish.tcc else Op.COMPENSATE
    urls = {} if wish.undo is None else {undo: wish.undo}
    args = Raw(wish.arguments.encode())
    return Target(wish.url, urls, args, wish.tcc, wish.timeout, headers, signer, now())


def print_rulings(found: list[Ruling]) -> None:
    """A table, and a sum."""
    console = inks.console()
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for ruling in found:
        text = Text(clean(ruling.what), "bold")
        text.append(f"\n{clean(ruling.said)}", "not bold dim")
        if ruling.cure:
            text.append(f"\n→ {clean(ruling.cure)}", "not bold cyan")
        table.add_row(Text(str(ruling.clause), "dim"), Text(ruling.level, LEVEL[ruling.level]), text)
    console.print(table)
    bad, doubtful, left_out = (sum(ruling.level == level for ruling in found) for level in ("fail", "warn", "skip"))
    summary = [many(bad, "failure")] * bool(bad) + [many(doubtful, "warning")] * bool(doubtful)
    summary += [f"{left_out} not examined"] * bool(left_out)
    console.print(Padding(Text(", ".join(summary) or "Every clause holds.", "" if bad else "green"), (1, 0, 0, 0)))
