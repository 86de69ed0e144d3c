"""MariaDB and MySQL through PyMySQL, in threads."""

from __future__ import annotations

import os
from typing import Any, NoReturn

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor

from troth.adapters.databases import mysql
from troth.adapters.databases.guard import refuse
from troth.adapters.databases.pool import Pool
from troth.adapters.databases.session import PLAIN, PooledSession, ended
from troth.ports.database import Answer, Effect
from troth.ports.scripts import placed

FOUND_ROWS = CLIENT.FOUND_ROWS
"""An UPDATE's rowcount is the rows that it found, as in every other database, not those it changed."""


class StepConnection(pymysql.connections.Connection):  # type: ignore[misc]
    """PyMySQL's connection inside a step."""

    patience = 0
    """Seconds that it waits for a lock, as it was told last."""

    def tidy(self) -> None:
        """After the step: undo what it set on the connection."""
        self.cursorclass = Cursor

    def really_close(self) -> None:
        """Close it; the server rolls back."""
        if self.open:
            super().close()

    def drop(self) -> None:
        """In a forked child: close the inherited file descriptor only."""
        if self._sock is not None:
            os.close(self._sock.detach())

    def commit(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("commit")

    def rollback(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("rollback")

    def close(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("close")

    def begin(self) -> NoReturn:
        """Refused: there is one, and it would end it."""
        refuse("begin")

    def autocommit(self, value: Any) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("autocommit")

    def __enter__(self) -> NoReturn:
        """Refused: it would end the local transaction."""
        refuse("with db")


def connect(settings: dict[str, Any], isolation: str) -> StepConnection:
    """A new connection."""
    connection = StepConnection(
        **settings, autocommit=None, charset="utf8mb4", binary_prefix=True, client_flag=FOUND_ROWS,
        connect_timeout=mysql.CONNECT_TIMEOUT,
    )  # fmt: skip
    try:
        with connection.cursor() as cursor:
            for statement in mysql.opening(isolation):
                cursor.execute(statement)
    except BaseException:
        connection.really_close()
        raise
    return connection


class SyncSession(PooledSession[StepConnection]):
    """Answers one script's requests in a thread."""

    def __init__(self, pool: Pool[StepConnection], effect: Effect | None = None) -> None:
        super().__init__(pool, effect)
        self._plain = effect is None

    def execute(self, sql: str, params: Any = ()) -> Answer:
        """One statement of ours."""
        with self.connection.cursor(Cursor) as cursor:
            cursor.execute(placed(sql, "format"), tuple(params) or None)
            if cursor.description:
                return Answer(0, cursor.fetchall())
            return Answer(max(cursor.rowcount, 0))

    def begin(self, patience: float) -> None:
        wait = mysql.lock_bound(patience)
        if wait != self.connection.patience:
            self.execute(f"SET SESSION innodb_lock_wait_timeout = {wait}")
            self.connection.patience = wait
        self.execute("START TRANSACTION")
        if self._plain:
            self.execute(f"SAVEPOINT {PLAIN}")

    def still_ours(self) -> None:
        try:
            self.execute(f"RELEASE SAVEPOINT {PLAIN}")
        except pymysql.MySQLError as error:
            if mysql.number_of(error) == mysql.NO_SAVEPOINT:
                raise ended() from error
            raise

    def idle(self, connection: StepConnection) -> bool:
        return bool(connection.open) and not connection.server_status & mysql.IN_TRANSACTION

    def broken(self, connection: StepConnection) -> bool:
        return not connection.open

    def tidy(self, connection: StepConnection) -> None:
        """Undo what the step set on the connection."""
        connection.tidy()
