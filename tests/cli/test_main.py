"""The ``troth`` command as a whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.calls import answer, refused, said, troth
from tests.cli.logs import Log, now, trying

ROOT = Path(__file__).resolve().parents[2]


def run(*args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """``troth`` in a process of its own."""
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-W", "error", *args], cwd=cwd, env={**os.environ, "PYTHONPATH": path, **env},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_it_works_from_a_second_process_while_a_node_writes(log: Log) -> None:
    """The log is found by a relative URL from TROTH_STORE, as in the project's own directory."""
    log.put(trying("order-1", now()))
    done = run("-m", "troth.cli.main", "list", cwd=log.path.parent, TROTH_STORE="sqlite:///shop-log.db")
    assert (done.returncode, done.stderr) == (0, "")
    assert "order-1  place-order  trying" in done.stdout and "1 alive" in done.stdout
    log.put(trying("order-2", now()))


def test_help_imports_neither_the_engine_nor_what_draws(tmp_path: Path) -> None:
    """Shell completion and --help stay quick: what a command needs is imported when it runs."""
    code = (
        "import sys\nfrom troth.cli.main import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "heavy = ('msgspec', 'rich', 'sqlite3', 'asyncio', 'troth.engine', 'troth.app')\n"
        "print('loaded', [m for m in heavy if m in sys.modules])"
    )
    done = run("-c", code, cwd=tmp_path)
    assert done.stdout.endswith("loaded []\n"), done.stdout + done.stderr


def test_help_names_every_command_and_the_exit_codes() -> None:
    """What a person needs first."""
    text = said(troth("--help"))
    assert all(word in text for word in ("list", "show", "retry", "resolve", "doctor", "TROTH_STORE"))
    assert "Exit codes: 0 fine, 1 refused or failed, 2 wrong usage." in text


def test_options_may_stand_before_or_after_the_command(log: Log) -> None:
    """The nearer one wins; TROTH_STORE is the last resort."""
    assert troth("list", "--store", log.url).exit_code == 0
    assert troth("list", env={"TROTH_STORE": log.url}).exit_code == 0
    assert troth("--json", "list", store=log.url).output == troth("list", "--json", store=log.url).output
    assert troth("list", "--store", log.url, store="sqlite:///elsewhere.db").exit_code == 0


def test_a_log_that_is_not_named_is_wrong_usage() -> None:
    """Exit code 2, naming the option, the variable and a right value."""
    assert "--store sqlite:///shop-log.db, or set TROTH_STORE" in refused(troth("list"), 2)
    assert "Did you mean --store sqlite:///shop-log.db?" in refused(troth("list", store="shop-log.db"), 2)
    assert "a memory log lives in its own process" in refused(troth("list", store="memory://"), 2)
    assert "not the URL of a SQLite file" in refused(troth("list", store="mysql://shop"), 2)


def test_a_log_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Nothing is created by looking."""
    url = f"sqlite:///{tmp_path}/nothing.db"
    assert "there is no log at" in refused(troth("doctor", store=url))
    assert answer("list", store=url, code=1)["error"] == "no_store"
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_told() -> None:
    """With or without an installed package."""
    assert troth("--version").output.startswith("troth ")
