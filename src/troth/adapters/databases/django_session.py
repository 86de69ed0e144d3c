"""Answering a script's requests on Django's connection of this thread: a transaction, or a TestCase's savepoint."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from django.db import Error, connections, transaction
from django.db.transaction import TransactionManagementError

from troth.adapters.databases.django_faults import CannotConnectError
from troth.adapters.databases.django_threads import KEPT, drop_if_broken, in_block, in_our_thread, put_down
from troth.adapters.databases.guard import refuse
from troth.ports.database import (
    Answer,
    Begin,
    Commit,
    Discard,
    Effect,
    Execute,
    Pause,
    Request,
    Rollback,
    RunEffect,
)  # fmt: skip
from troth.ports.errors import DefinitionError

T = TypeVar("T")

FORBIDDEN: Final = {"commit": "commit", "rollback": "rollback", "close": "close", "set_autocommit": "autocommit"}
"""What a step may not call on the connection, and the cure's name."""


_log = logging.getLogger(__name__)


@contextmanager
def guarded(connection: Any) -> Iterator[Any]:
    """The connection as a step may use it: what would end the local transaction is refused in words."""
    shadows = {name: (lambda *_args, what=what, **_more: refuse(what)) for name, what in FORBIDDEN.items()}
    vars(connection).update(shadows)
    try:
        yield connection
    finally:
        for name in shadows:
            vars(connection).pop(name, None)


class DjangoSession:
    """Answers one script's requests on this thread's connection."""

    def __init__(self, alias: str, effect: Effect | None) -> None:
        self._alias = alias
        self._effect = effect
        self._connection: Any = None
        self._block: Any = None
        self._outermost = True
        self._was_open = True
        self._committed = False

    def perform(self, request: Request) -> Any:
        match request:
            case Execute(sql, params):
                return self.execute(sql, params)
            case RunEffect(stored):
                return self._effect_result(stored)
            case Begin(_, patience):
                return self.begin(patience)
            case Commit():
                return self.commit()
            case Rollback():
                return self.rollback()
            case Discard():
                return self.discard()
            case Pause(most):
                return time.sleep(most * os.urandom(1)[0] / 255)

    def begin(self, patience: float) -> None:
        """Begin: a transaction, or a savepoint where a TestCase has one open.

        :raises DefinitionError: somebody else's transaction is open, which would end it.
        """
        KEPT.take_up()
        connection = self._connection = connections[self._alias]
        self._was_open = connection.connection is not None
        self._committed = False
        self._outermost = not connection.in_atomic_block
        try:
            self._refuse_block(connection)
            if self._outermost:
                drop_if_broken(connection)
                self._connect(connection)
            block = transaction.Atomic(self._alias, True, False)
            block.__enter__()
            self._block = block
            if self._outermost:
                connection.on_commit(self._note)
                if connection.vendor == "postgresql":
                    self.execute(f"SET LOCAL lock_timeout = {max(int(patience * 1000), 1)}", None)
        except BaseException:
            self.discard()
            raise

    def _refuse_block(self, connection: Any) -> None:
        if in_block(connection):
            self._outermost = False  # it is not ours to close
            raise DefinitionError(
                f"transaction.atomic() is open on {self._alias!r} in the step's thread: a step is a local transaction"
                " of its own, and can't be a part of that block. Leave the block before."
            )

    def _connect(self, connection: Any) -> None:
        try:
            connection.ensure_connection()
        except Error as error:
            raise CannotConnectError(str(error)) from error

    def _note(self) -> None:
        """The first of the functions that Django calls after COMMIT: so it is known whether that was reached."""
        self._committed = True

    def execute(self, sql: str, params: Any) -> Answer:
        """One statement of ours."""
        connection = self._current()
        if sql.startswith("ROLLBACK TO"):  # to where all was well: what went wrong since is undone
            connection.needs_rollback = False
        with connection.cursor() as cursor:
            cursor.execute(sql.replace("?", "%s") if params else sql, params or None)
            return Answer(max(cursor.rowcount, 0), cursor.fetchall() if cursor.description else [])

    def _current(self) -> Any:
        if self._block is None:
            raise TransactionManagementError("no local transaction is open")
        return self._connection

    def run(self, function: Callable[[Any], T]) -> T:
        """The user's function on Django's connection, guarded."""
        with guarded(self._current()) as connection:
            return function(connection)

    def _effect_result(self, stored: Any) -> Any:
        effect = self._effect
        if effect is None:
            raise TypeError("a script without an effect asked for one")
        result = self.run(lambda connection: effect(connection, stored))
        if not self._whole():
            raise DefinitionError("the step has left a transaction.atomic() block open: use it as `with` or decorator")
        return result

    def _whole(self) -> bool:
        """Is ours the innermost block?"""
        return bool(self._current().atomic_blocks[-1:] == [self._block])

    def still_ours(self) -> None:
        """See `Session`.

        :raises TransactionManagementError: there is nothing that could be kept.
        """
        connection = self._current()
        if not self._whole() or connection.needs_rollback or connection.closed_in_transaction:
            raise TransactionManagementError("the local transaction can only be rolled back")

    def commit(self) -> None:
        """Commit. A function of `transaction.on_commit` that fails comes too late to change what was done.

        :raises TransactionManagementError: there is nothing that could be kept.
        """
        self.still_ours()
        block, self._block = self._block, None
        try:
            block.__exit__(None, None, None)
        except Exception:
            if not self._committed:
                raise
            _log.exception("a transaction.on_commit function failed after a step's commit on %s", self._alias)
        self._release()

    def rollback(self) -> None:
        """Roll back; Django closes a connection that can't."""
        self._leave()
        self._release()

    def discard(self) -> None:
        """Close the connection, so that the database rolls back; inside a TestCase it is the test's, and stays."""
        connection = self._connection
        if connection is not None and self._outermost:
            try:
                connection.close()
            except Error:
                pass  # it was closed already
        self._leave()
        self._release()

    def _leave(self) -> None:
        """Leave our block, and what was left open inside it, without keeping anything."""
        block, self._block = self._block, None
        connection = self._connection
        while block is not None and block in connection.atomic_blocks:
            connection.needs_rollback = True
            try:
                connection.atomic_blocks[-1].__exit__(None, None, None)
            except Error:
                pass  # the connection is broken, and Django has marked it so

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if not self._was_open and not in_our_thread():
            put_down(connection)
        KEPT.put_down()
