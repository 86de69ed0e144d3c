"""The migration's operation: the barrier's tables, by the very statements that troth makes them with at first use."""

from __future__ import annotations

import re
from typing import Any

from django.db.migrations.operations.base import Operation

from troth.adapters.databases.django import dialect_of
from troth.ports.outbox import TABLES, family_of

TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")


class CreateBarrier(Operation):
    """Create the barrier's tables in the database that is migrated; where they are there already, nothing changes.

    When the barrier gets another table, a further migration with this operation makes it.

    A router may keep them out of a database by answering no to ``allow_migrate(db, "troth")``.
    """

    reduces_to_sql = True
    reversible = True

    def tables(self, connection: Any) -> tuple[str, ...]:
        """The statements that create them."""
        return dialect_of(connection).tables

    def state_forwards(self, app_label: str, state: Any) -> None:
        """No model: the tables are the barrier's own."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Create them."""
        if self._wanted(app_label, schema_editor):
            for statement in self.tables(schema_editor.connection):
                schema_editor.execute(statement, params=None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Drop them, and with them the memory of what was done."""
        if self._wanted(app_label, schema_editor):
            text = " ".join(self.tables(schema_editor.connection))
            for table in TABLE.findall(text):
                schema_editor.execute(f"DROP TABLE IF EXISTS {table}", params=None)

    def describe(self) -> str:
        """For ``migrate`` and ``sqlmigrate``."""
        return "Create troth's barrier tables"

    def _wanted(self, app_label: str, schema_editor: Any) -> bool:
        from django.db import router

        alias = schema_editor.connection.alias
        return bool(router.allow_migrate(alias, app_label)) and schema_editor.connection.vendor in VENDORS


class CreateOutbox(CreateBarrier):
    """Create the outbox's tables, which a database has that was migrated before there was an outbox."""

    def tables(self, connection: Any) -> tuple[str, ...]:
        """The statements that create them."""
        return TABLES[family_of(dialect_of(connection))]

    def describe(self) -> str:
        """For ``migrate`` and ``sqlmigrate``."""
        return "Create troth's outbox tables"


VENDORS = frozenset({"sqlite", "postgresql", "mysql"})
"""Other kinds of database have no barrier; `troth.E003` says so where a step wants one."""
