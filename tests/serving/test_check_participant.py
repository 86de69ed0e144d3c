"""``troth check-participant``: who keeps the protocol passes, who breaks a clause is told which, and what to do."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.docs.snippets import programs
from tests.serving.asking import SECRET
from tests.serving.stock import Stock, left
from troth.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "participants.md"


def run(*argv: str) -> Result:
    """The command."""
    return CliRunner().invoke(cli, ["check-participant", *argv], env={"TROTH_SECRET": ""}, catch_exceptions=False)


def rulings(*argv: str) -> tuple[int, dict[int, str]]:
    """(exit code, level by clause)."""
    ran = run(*argv, "--json")
    return ran.exit_code, {each["clause"]: each["level"] for each in json.loads(ran.output)["clauses"]}


Plain = Callable[..., str]


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Plain]:
    """The participant that docs/participants.md shows, served; its parts can be replaced. Gives its URL."""
    names: dict[str, Any] = {"__name__": "shelf"}
    for block in programs(PAGE.read_text(encoding="utf-8"))[0]:
        exec(compile(block.code, str(PAGE), "exec"), names)
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def serve(**parts: Any) -> str:
        names.update(parts)
        names["Shelf"].database = str(tmp_path / "shelf.db")
        names["make_tables"](tmp_path / "shelf.db")
        server = ThreadingHTTPServer(("127.0.0.1", 0), names["Shelf"])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/reserve"

    serve.names = names  # type: ignore[attr-defined]
    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


ARGS = ("--args", '{"sku": "a-1", "n": 1}')


def test_the_participant_of_the_page_keeps_every_clause(plain: Plain) -> None:
    """What implementers are shown passes what they are told to run."""
    code, found = rulings(plain(), *ARGS)
    assert code == 0
    assert {clause: level for clause, level in found.items() if level != "ok"} == {14: "skip"}


def test_our_own_steps_and_classes_keep_every_clause(served: Callable[..., int], stock: Stock) -> None:
    """Signed, by ASGI and by WSGI; and everything that was done is undone (one confirmed hold apart)."""
    base = f"http://127.0.0.1:{served(secret=SECRET)}/troth"
    args = ("--args", '{"sku": "a", "n": 1}', "--secret", SECRET)
    step, tcc = rulings(f"{base}/steps/reserve", *args), rulings(f"{base}/tcc/stock.Hold", "--tcc", *args)
    assert step[0] == 0
    assert set(step[1].values()) == {"ok"}
    assert (set(step[1]) | set(tcc[1])) == set(range(1, 21))
    assert tcc[0] == 0
    assert {clause for clause, level in tcc[1].items() if level == "skip"} == {15, 16}
    assert left(stock) == 9


def test_the_page_lists_the_clauses_that_are_examined(plain: Plain, stock: Stock) -> None:
    """Numbered without a gap, from 1 to the last."""
    listed = [int(number) for number in re.findall(r"^(\d+)\. ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)]
    assert listed == list(range(1, 21))


def faulty(names: dict[str, Any], change: str) -> dict[str, Any]:
    """The page's participant with one thing wrong."""
    decide, act, row = names["decide"], names["act"], names["row"]

    def always_runs(db: Any, op: str, branch: str, args: Any) -> Any:
        return (200, names["reserve"](db, **args)) if op == "action" else decide(db, op, branch, args)

    def forgets_seals(db: Any, op: str, branch: str, args: Any) -> Any:
        if op == "compensate" and row(db, branch, "action") is None:
            return 200, None
        return decide(db, op, branch, args)

    def refuses_empty(db: Any, op: str, branch: str, args: Any) -> Any:
        if op == "compensate" and row(db, branch, "action") is None:
            return 409, "nothing to undo"
        return decide(db, op, branch, args)

    def compensates_once(db: Any, op: str, branch: str, args: Any) -> Any:
        if op == "compensate" and row(db, branch, "compensate") is not None:
            return 404, "gone"
        return decide(db, op, branch, args)

    def heeds_no_op(db: Any, op: str, branch: str, args: Any) -> Any:
        return decide(db, "action" if op not in ("compensate", "check", "seal") else op, branch, args)

    def large(db: Any, branch: str, args: Any) -> Any:
        outcome, _ = act(db, branch, args)
        return outcome, "x" * 70_000

    def ignores_arguments(db: Any, op: str, branch: str, args: Any) -> Any:
        if op == "action" and row(db, branch, "action") is not None:
            args = json.loads(row(db, branch, "action")[1] or "{}")
        return decide(db, op, branch, args)

    made: dict[str, dict[str, Any]] = {
        "always runs": {"decide": always_runs}, "forgets seals": {"decide": forgets_seals},
        "no arguments": {"decide": ignores_arguments},
        "refuses the empty undo": {"decide": refuses_empty}, "undoes once": {"decide": compensates_once},
        "heeds no op": {"decide": heeds_no_op}, "answers at length": {"act": large},
    }  # fmt: skip
    return made[change]


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("always runs", {3, 4, 8, 10}),
        ("forgets seals", {10}),
        ("refuses the empty undo", {9, 10}),
        ("undoes once", {7}),
        ("heeds no op", {11}),
        ("answers at length", {2, 19}),
        ("no arguments", set()),
    ],
)
def test_a_broken_clause_is_named(plain: Plain, change: str, broken: set[int]) -> None:
    """Each fault fails its own clauses; exit code 1, and a cure for each."""
    url = plain(**faulty(plain.names, change))  # type: ignore[attr-defined]
    ran = run(url, *ARGS, "--json")
    found = json.loads(ran.output)
    failed = {each["clause"] for each in found["clauses"] if each["level"] == "fail"}
    assert failed >= broken
    assert ran.exit_code == bool(failed)
    assert all(each["cure"] for each in found["clauses"] if each["level"] in ("fail", "warn"))
    if change == "no arguments":
        assert [each["clause"] for each in found["clauses"] if each["level"] == "warn"] == [5]


def test_an_unsigned_participant_fails_where_a_secret_is_given(plain: Plain) -> None:
    """It does whatever anybody asks."""
    code, found = rulings(plain(), *ARGS, "--secret", SECRET)
    assert (code, found[14]) == (1, "fail")


def test_a_redirect_and_plain_text_are_told(plain: Plain) -> None:
    """A redirect is no answer; an HTML page is no reason."""

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(302)
            self.send_header("Location", "/login")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Nothing."""

    code, found = rulings(plain(Shelf=Elsewhere), *ARGS)
    assert (code, found[2], found[19]) == (1, "fail", "fail")


def test_nobody_there_is_said_in_words(plain: Plain) -> None:
    """Only the first clause is examined."""
    code, found = rulings("http://127.0.0.1:9/x", *ARGS)
    assert (code, found) == (1, {1: "fail"})


def test_the_table_is_read_by_people(plain: Plain) -> None:
    """A line a clause, what was answered, a cure where one is needed, a sum."""
    url = plain()
    ran = run(url, *ARGS)
    assert "the action again: the first answer" in ran.output
    assert "1 not examined" in ran.output
    wrong = run(url.replace("reserve", "rseerve"), *ARGS)
    assert wrong.exit_code == 1
    assert "nothing is at /rseerve; POST to /reserve" in wrong.output
    assert "1 failure" in wrong.output


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["stock/reserve"], "is no URL"),
        (["http://x/y", "--undo", "ftp://x"], "--undo: "),
        (["http://x/y", "--args", "[1]"], "--args: "),
        (["http://x/y", "--secret", "hunter2"], "--secret: "),
        (["http://x/y", "--header", "Authorization"], "--header: "),
    ],
)
def test_wrong_usage_is_two(argv: list[str], said: str) -> None:
    """The argument is named, with one that would do."""
    ran = run(*argv)
    assert ran.exit_code == 2
    assert said in ran.output
    assert "hunter2" not in ran.output
