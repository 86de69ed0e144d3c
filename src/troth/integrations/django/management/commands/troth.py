"""``manage.py troth``: the command line with the log of the settings, and ``node``, a process that only drives."""

from __future__ import annotations

import argparse
import runpy
import signal
import sys
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from troth.ports.errors import TrothError

COMMAND_LINE = "troth.cli.main"
"""The program that is run here, in this process, where the project's code is loaded."""
CODE = "troth.integrations.django:troth"


class Command(BaseCommand):
    """Everything after ``troth`` is the command line's, but for ``node``."""

    help = (
        "Look at troth's transactions and help those that need a person: list, show GID, retry GID, resolve GID, doctor."
        " `node` runs a process that drives transactions and serves nothing: what was started, and what dead processes left."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Options that stand after the command are the command line's."""
        kwargs.setdefault("usage", f"{prog_name.rpartition('/')[2]} {subcommand} [--settings …] COMMAND …")
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """All that follows."""
        parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="e.g. list --open; none: all of them")

    def handle(self, *args: Any, command: list[str], **options: Any) -> None:
        """Run the command.

        :raises CommandError: it can't be done; its words say why.
        """
        from troth.integrations.django import troth

        words = [*args, *command]
        if words[:1] == ["node"]:
            self.drive(troth, words[1:])
            return
        if words[:1] == ["doctor"] and not any(word.startswith("--code") for word in words):
            words += ["--code", CODE]
        before = ["--store", troth.store_url] if troth.store_url else []
        if not words:
            self.stdout.write("manage.py troth node drives; all else is the command line with the log of your settings:\n\n")
        sys.argv = ["troth", *before, *words] if words else ["troth", "--help"]
        runpy.run_module(COMMAND_LINE, run_name="__main__")

    def drive(self, troth: Any, words: list[str]) -> None:
        """Be a node until SIGTERM or SIGINT, then end what is in flight.

        :raises CommandError: it can't start.
        """
        if words:
            raise CommandError(f"node takes no arguments, not {' '.join(words)}")
        self.check(display_num_errors=True)
        over = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: over.set())
        try:
            with troth:
                self.stdout.write(f"driving the transactions of {troth.store_url}; Ctrl-C ends")
                self.stdout.flush()
                while not over.wait(3_600):
                    pass
        except TrothError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("ended")
