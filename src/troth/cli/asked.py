"""What every command is asked with (``--store``, ``--json``), and how one says no."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import click


@dataclass(frozen=True)
class Asked:
    """How the command was called.

    :ivar store: the log's URL, or "" if none was given.
    :ivar json: print JSON instead of tables.
    """

    store: str
    json: bool


class No(click.ClickException):
    """The command can't do it; its words say why and what would help.

    :param message: for people.
    :param word: for programs, e.g. ``unknown_transaction``.
    :param as_json: print it as JSON on standard output.
    :param facts: what else programs are told.
    """

    exit_code = 1

    def __init__(self, message: str, word: str = "failed", *, as_json: bool = False, **facts: Any) -> None:
        super().__init__(message)
        self.word = word
        self.as_json = as_json
        self.facts = facts

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it."""
        if self.as_json:
            click.echo(json.dumps({"error": self.word, "message": self.message, **self.facts}, ensure_ascii=False))
        else:
            click.echo(f"troth: {self.message}", file=file, err=file is None)


def shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--store`` and ``--json``; what stands after the command's name wins over what is before it."""
    command = click.option("--json", "as_json", is_flag=True, default=None, help="Print JSON.")(command)
    return click.option("--store", metavar="URL", default=None, help="The log, e.g. sqlite:///shop-log.db.")(command)


def asked(context: click.Context, store: str | None, as_json: bool | None) -> Asked:
    """What was asked for, with what stood before the command's name."""
    outer = context.obj if isinstance(context.obj, Asked) else Asked("", False)
    return Asked(store if store is not None else outer.store, outer.json if as_json is None else as_json)


@contextmanager
def worded(how: Asked) -> Iterator[None]:
    """Turn troth's own errors into the command's answer: words, and exit code 1."""
    from troth.ports.errors import ConfigurationError, TrothError

    try:
        yield
    except No as no:
        no.as_json = how.json
        raise
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error
    except TrothError as error:
        raise No(str(error), snake(type(error).__name__), as_json=how.json) from error


def snake(name: str) -> str:
    """``StoreCorrupt`` as ``store_corrupt``."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def say_json(answer: Any) -> None:
    """Print an answer for programs."""
    click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
