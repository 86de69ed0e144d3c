"""``troth``: the commands and their options. What a command needs is imported when it runs, so that help is quick."""

from __future__ import annotations

import click

from troth.cli.asked import Asked, asked, shared, worded

STATES = ("trying", "confirming", "confirmed", "cancelling", "cancelled", "failed")
TIMEOUT = click.option(
    "--timeout", type=click.FloatRange(0, 3600), default=10.0, show_default=True, metavar="SECONDS",
    help="How long to wait for a node to carry it out.",
)  # fmt: skip


def print_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    """``--version``, without importing what knows it before it is asked for."""
    if not wanted or context.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"troth {version('troth')}")
    except PackageNotFoundError:
        click.echo("troth (not installed as a package)")
    context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--store", metavar="URL", envvar="TROTH_STORE", show_envvar=True, default="",
    help="The log, e.g. sqlite:///shop-log.db (relative) or sqlite:////var/lib/shop/log.db.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=print_version, help="Print the version."
)
@click.pass_context
def cli(context: click.Context, store: str, as_json: bool) -> None:
    """Look at the transactions in a troth log, and help those that need a person.

    It reads the log while other processes work on it and needs none of your code (but for `doctor --code`).
    --store and --json may also stand after the command.

    Exit codes: 0 fine, 1 refused or failed, 2 wrong usage.
    """
    context.obj = Asked(store, as_json)


@cli.command("list")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Only this state (repeat for more).")
@click.option("--open", "only_open", is_flag=True, help="Only unfinished ones.")
@click.option("--since", metavar="WHEN", help="Begun since: 2h, 1h30m, 7d, or a date like 2026-11-24T08:00.")
@click.option("--definition", metavar="NAME", default="", help="Only transactions of this saga.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many, newest first."
)
@shared
@click.pass_context
def list_command(
    context: click.Context, states: tuple[str, ...], only_open: bool, since: str | None, definition: str, limit: int,
    store: str | None, as_json: bool | None,
) -> None:  # fmt: skip
    """List transactions, newest first, with totals by state."""
    from troth.cli.listing import Wanted, list_transactions

    how = asked(context, store, as_json)
    with worded(how):
        list_transactions(how, Wanted(states, only_open, since, definition, limit))


@cli.command()
@click.argument("gid")
@click.option("--full", is_flag=True, help="Cut nothing: whole arguments, results and reasons.")
@shared
@click.pass_context
def show(context: click.Context, gid: str, full: bool, store: str | None, as_json: bool | None) -> None:
    """Show one transaction: its branches, a timeline of calls, what comes next."""
    from troth.cli.showing import show_transaction

    how = asked(context, store, as_json)
    with worded(how):
        show_transaction(how, gid, full=full)


@cli.command()
@click.argument("gid")
@TIMEOUT
@shared
@click.pass_context
def retry(context: click.Context, gid: str, timeout: float, store: str | None, as_json: bool | None) -> None:
    """Try a transaction that failed, or is in a pause, again at once.

    Attempts are counted anew. The node that owns the transaction does it; without one, the next node that starts.
    """
    from troth.cli.wishing import wish

    how = asked(context, store, as_json)
    with worded(how):
        wish(how, gid, "retry", "", timeout)


@cli.command()
@click.argument("gid")
@click.option(
    "--reason", required=True, metavar="TEXT", help="What you did by hand, and why; kept with the transaction."
)
@TIMEOUT
@shared
@click.pass_context
def resolve(
    context: click.Context, gid: str, reason: str, timeout: float, store: str | None, as_json: bool | None
) -> None:
    """Close a failed transaction that you settled by hand.

    Its retries are stopped for good, calls in flight are waited out, nothing more is called or undone, and it stays
    `failed`, closed, with your reason. Settle what `troth show` lists as open before you do this.
    """
    from troth.cli.wishing import wish

    how = asked(context, store, as_json)
    with worded(how):
        wish(how, gid, "resolve", reason, timeout)


@cli.command()
@click.option(
    "--code", metavar="MODULE:TROTH",
    help="Also check that this code can finish what is in flight, e.g. shop:troth. It is imported; no step is called.",
)  # fmt: skip
@shared
@click.pass_context
def doctor(context: click.Context, code: str | None, store: str | None, as_json: bool | None) -> None:
    """Examine the log: files, schema, integrity, nodes, what waits and for what."""
    from troth.cli.doctor import examine

    how = asked(context, store, as_json)
    with worded(how):
        examine(how, code)


@cli.command("check-participant")
@click.argument("url")
@click.option("--args", "arguments", metavar="JSON", default="{}", show_default=True, help="The action's arguments, one object.")
@click.option("--undo", metavar="URL", default=None, help="Where it is undone (compensate or cancel), if elsewhere.")
@click.option("--tcc", is_flag=True, help="It is a TCC class: try, confirm and cancel.")
@click.option("--secret", "secrets", metavar="WHSEC", multiple=True, envvar="TROTH_SECRET", help="Sign the calls.")
@click.option("--header", "headers", metavar="NAME:VALUE", multiple=True, help="Send this too (repeat for more).")
@click.option(
    "--timeout", type=click.FloatRange(0.1, 600), default=10.0, show_default=True, metavar="SECONDS",
    help="How long one answer may take.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, default=None, help="Print JSON.")
@click.pass_context
def check_participant(
    context: click.Context, url: str, arguments: str, undo: str | None, tcc: bool, secrets: tuple[str, ...],
    headers: tuple[str, ...], timeout: float, as_json: bool | None,
) -> None:  # fmt: skip
    """Examine whether a service keeps the participant protocol, in whatever language it is written.

    URL is where one action is done, e.g. http://stock/troth/steps/reserve. The action is really done, and undone again, a
    few times: ask a test instance, or give --args that harm nobody. docs/participants.md has the clauses.
    """
    from troth.cli.participant.examining import Wish, examine

    how = asked(context, None, as_json)
    with worded(how):
        examine(how, Wish(url, arguments, undo, tcc, secrets, headers, timeout))


def main() -> None:
    """The entry point of the ``troth`` command."""
    cli.main(prog_name="troth")


if __name__ == "__main__":
    main()
