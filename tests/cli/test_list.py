"""``troth list``."""

from __future__ import annotations

from tests.cli.calls import answer, refused, said, troth
from tests.cli.logs import SECOND, Log, cancelled, closed, confirmed, failed, now, saga, trying


def filled(log: Log) -> Log:
    """One transaction of each kind, oldest first."""
    at = now() - 3600 * SECOND
    for number, make in enumerate((confirmed, cancelled, closed, failed, trying)):
        log.put(make(f"order-{number}", at + number * SECOND))
    return log


def gids(*args: str, log: Log) -> list[str]:
    """The gids listed."""
    return [row["gid"] for row in answer("list", *args, store=log.url)["transactions"]]


def test_the_newest_transaction_stands_first(log: Log) -> None:
    """A person looks for what happened last."""
    assert gids(log=filled(log)) == ["order-4", "order-3", "order-2", "order-1", "order-0"]


def test_a_line_says_what_a_person_asks_first(log: Log) -> None:
    """Id, definition, state, branches open, owner and reason stand on one line of 100 columns."""
    result = troth("list", store=filled(log).url)
    line = next(line for line in result.output.splitlines() if line.startswith("order-3"))
    assert [word in line for word in ("place-order", "failed", "1/2", "1 alive", "card declined")] == [True] * 5
    assert all(len(line) <= 100 for line in result.output.splitlines())


def test_totals_by_state_stand_at_the_foot(log: Log) -> None:
    """The last line counts everything, whatever is filtered."""
    foot = troth("list", "--state", "failed", "--limit", "1", store=filled(log).url).output.splitlines()[-1]
    assert foot == "5 transactions · 1 trying · 1 confirmed · 1 cancelled · 2 failed · 1 node alive"


def test_filters_narrow_the_list(log: Log) -> None:
    """By state (repeated for more), open ones only, definition, and age."""
    filled(log)
    log.put(saga("invoice-1", begun=now(), definition="send-invoice"))
    assert gids("--state", "cancelled", "--state", "confirmed", log=log) == ["order-1", "order-0"]
    assert gids("--open", log=log) == ["invoice-1", "order-4", "order-3"]
    assert gids("--open", "--state", "failed", log=log) == ["order-3"]
    assert gids("--definition", "send-invoice", log=log) == ["invoice-1"]
    assert gids("--since", "30m", log=log) == ["invoice-1"]
    assert gids("--since", "2h", "--limit", "2", log=log) == ["invoice-1", "order-4"]


def test_a_cut_list_says_that_there_is_more(log: Log) -> None:
    """A limit never looks like the end."""
    assert "and more: only the newest 2 are shown" in said(troth("list", "--limit", "2", store=filled(log).url))
    assert answer("list", "--limit", "5", store=log.url)["more"] is False


def test_what_nobody_drives_says_what_it_waits_for(log: Log) -> None:
    """Code, take-over, or a node: each is named in the reason column."""
    log.put(trying("order-1", now()), waiting="shop.reserve")
    log.put(trying("order-2", now()))
    log.kill()
    lines = {line.split()[0]: line for line in troth("list", store=log.url).output.splitlines() if line}
    assert "1 dead" in lines["order-1"] and "waiting for code: shop.reserve" in lines["order-1"]
    assert "waiting for a node" in lines["order-2"]
    other = Log(log.path)
    assert "waiting for take-over" in troth("list", store=log.url).output
    other.store.close()


def test_a_reason_can_not_command_the_terminal(log: Log) -> None:
    """Escape sequences in texts from the log are shown, not obeyed; rich markup is text like any other."""
    log.put(saga("order-1", begun=now(), reason="\x1b[31mred[/bold] \x07"))
    output = troth("list", store=log.url).output
    assert "\x1b" not in output and "\\x1b[31mred[/bold]" in output


def test_a_span_that_is_none_is_wrong_usage(log: Log) -> None:
    """Exit code 2, and the right forms."""
    assert "neither a span (2h, 1h30m, 7d) nor a date" in refused(troth("list", "--since", "soon", store=log.url), 2)


def test_an_empty_log_says_so(log: Log) -> None:
    """No table of nothing."""
    assert "nothing was begun in it yet" in said(troth("list", store=log.url))
