"""A state machine in a column: one conditional statement per transition, so that no two callers can both make it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final

from troth.participant.handles import Handle, aspeak, handle_of, speak
from troth.ports.database import Answer, Execute, Script
from troth.ports.errors import DefinitionError, NotAccepted
from troth.ports.idempotency import IllegalTransition, StaleVersion, UnknownRow

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_LOOKS: Final = 4
"""Times a row may change under one call."""


class StateMachine:
    """Which states a row may have, and how it may go from one to another.

    ``orders = StateMachine("orders", column="state", initial="created", transitions={"created": {"paid", "cancelled"},
    "paid": {"shipped"}, "shipped": (), "cancelled": ()})``, then ``orders.move(db, 7, to="paid")``.

    :param table: the table, as SQL has it.
    :param column: the column that holds the state.
    :param transitions: for each state those that may follow it; a final one is followed by nothing. Texts, or an enum's
        members whose values are texts.
    :param initial: the state that rows begin in.
    :param key: the column (or a tuple of them) that names one row.
    :param version: a column of integers that each move raises by one; None: none does.
    :raises DefinitionError: if a name is none, a state isn't in `transitions`, or can't be reached.
    """

    def __init__(
        self,
        table: str,
        *,
        column: str,
        transitions: Mapping[Any, Iterable[Any]],
        initial: Any,
        key: str | tuple[str, ...] = "id",
        version: str | None = None,
    ) -> None:
        self.table = _checked_name(table, table)
        self.column = _checked_name(column, table)
        self.version = None if version is None else _checked_name(version, table)
        self._keys = (key,) if isinstance(key, str) else tuple(key)
        for name in self._keys or ("",):
            _checked_name(name, table)
        self.transitions: Mapping[str, tuple[str, ...]] = {
            _text(state, table): tuple(sorted({_text(after, table) for after in followers}))
            for state, followers in transitions.items()
        }
        self.initial = _text(initial, table)
        self._check()
        self._where = " AND ".join(f"{name} = ?" for name in self._keys)
        self._look = f"SELECT {self.column}, {self.version or 'NULL'} FROM {self.table} WHERE {self._where}"

    # -- moving -------------------------------------------------------------------------------------------------

    def move(self, db: Any, key: Any, *, to: Any, version: int | None = None, set: Mapping[str, Any] | None = None) -> bool:
        """Bring a row into a state, if that is legal from where it is: one conditional UPDATE.

        :param db: the connection: a step's ``db``, or one of your own. The move is part of its local transaction.
        :param key: the row's key; a tuple where the key has several columns.
        :param version: only if the row is still at this version.
        :param set: other columns that are set by the same statement.
        :returns: True if this call moved it, False if it was there already: what follows from a move, do it on True.
        :raises IllegalTransition: if its state allows no such move; the row stays as it is.
        :raises UnknownRow: if there is none.
        :raises StaleVersion: if it has another version.
        :raises DefinitionError: if `to` is no state, or a name no column.
        """
        handle = handle_of(db)
        return speak(handle, self._moving(handle, key, to, version, set or {}), "….aio.move")

    @property
    def aio(self) -> AioStateMachine:
        """The awaitable spelling: ``await orders.aio.move(db, 7, to="paid")``."""
        return AioStateMachine(self)

    def _moving(self, handle: Handle, key: Any, to: Any, version: int | None, columns: Mapping[str, Any]) -> Script[bool]:
        state = self._known(to)
        names = self._named(key)
        update, params = self._update(names, state, version, columns)
        look = self._look + (" FOR UPDATE" if handle.family == "mysql" else "")  # its plain reads are of an older snapshot
        for _ in range(_LOOKS):
            if self.sources(state):
                moved: Answer = yield Execute(update, params)
                if moved.changed > 1:
                    columns_of_key = ", ".join(self._keys)
                    raise DefinitionError(f"{self.table}: {moved.changed} rows have {columns_of_key} = {key!r}: that is no key.")
                if moved.changed:
                    return True
            found: Answer = yield Execute(look, names)
            if not found.rows:
                raise UnknownRow(self.table, ", ".join(self._keys), key)
            here, at = found.rows[0]
            if here == state:
                return False
            if here not in self.sources(state):
                raise IllegalTransition(self.table, key, str(here), state, self.transitions.get(str(here), ()))
            if version is not None and at != version:
                raise StaleVersion(self.table, key, version, at)
        raise NotAccepted(f"{self.table} {key!r} kept changing its state")

    def _update(
        self, names: tuple[Any, ...], to: str, version: int | None, columns: Mapping[str, Any]
    ) -> tuple[str, tuple[Any, ...]]:
        sources = self.sources(to)
        sets = [f"{self.column} = ?", *(f"{_checked_name(name, self.table)} = ?" for name in columns)]
        if self.version is not None:
            sets.append(f"{self.version} = {self.version} + 1")
        only = f" AND {self.version} = ?" if self._versioned(version) else ""
        marks = ", ".join("?" * len(sources))
        sql = f"UPDATE {self.table} SET {', '.join(sets)} WHERE {self._where} AND {self.column} IN ({marks}){only}"
        return sql, (to, *columns.values(), *names, *sources, *((version,) if only else ()))

    def _versioned(self, version: int | None) -> bool:
        if version is not None and self.version is None:
            raise DefinitionError(f"{self.table}: version={version} is given, but the state machine has no version= column.")
        return version is not None

    def _named(self, key: Any) -> tuple[Any, ...]:
        names = tuple(key) if isinstance(key, tuple) else (key,)
        if len(names) != len(self._keys):
            raise DefinitionError(f"{self.table}: the key {key!r} has {len(names)} parts; it needs {', '.join(self._keys)}.")
        return names

    # -- knowing ------------------------------------------------------------------------------------------------

    def sources(self, to: Any) -> tuple[str, ...]:
        """The states from which that one can be reached in one move."""
        state = self._known(to)
        return tuple(before for before, followers in self.transitions.items() if state in followers)

    def mermaid(self) -> str:
        """The states as a mermaid diagram, for documentation."""
        names = {state: state.replace("-", "_") for state in self.transitions}  # a hyphen would end the name
        lines = ["stateDiagram-v2", *(f'    state "{state}" as {name}' for state, name in names.items() if name != state)]
        lines.append(f"    [*] --> {names[self.initial]}")
        for state, followers in self.transitions.items():
            lines += [f"    {names[state]} --> {names[after] if after else '[*]'}" for after in followers or ("",)]
        return "\n".join(lines) + "\n"

    def _known(self, state: Any) -> str:
        text = _text(state, self.table)
        if text not in self.transitions:
            raise DefinitionError(f"{self.table}: {text!r} is no state. It has: {', '.join(self.transitions)}.")
        return text

    def _check(self) -> None:
        self._known(self.initial)
        for state, followers in self.transitions.items():
            for after in followers:
                if after not in self.transitions:
                    raise DefinitionError(
                        f'{self.table}: {state} may become {after}, which is no state. If it is final, add "{after}": ().'
                    )
            if state in followers:
                raise DefinitionError(
                    f"{self.table}: {state} may become {state}. Leave that out: a row that is there already is no error."
                )
        reached, edge = {self.initial}, [self.initial]
        while edge:
            fresh = set(self.transitions[edge.pop()]) - reached
            reached |= fresh
            edge += fresh
        lost = [state for state in self.transitions if state not in reached]
        if lost:
            raise DefinitionError(
                f"{self.table}: no way leads from {self.initial} to {', '.join(lost)}. Add the transition, or leave it out."
            )

    def __repr__(self) -> str:
        return f"<state machine {self.table}.{self.column}>"


class AioStateMachine:
    """The awaitable spelling of a `StateMachine`."""

    def __init__(self, machine: StateMachine) -> None:
        self._machine = machine

    async def move(
        self, db: Any, key: Any, *, to: Any, version: int | None = None, set: Mapping[str, Any] | None = None
    ) -> bool:
        """As `StateMachine.move`, for a connection that is awaited."""
        handle = handle_of(db)
        return await aspeak(handle, self._machine._moving(handle, key, to, version, set or {}), "….move")


def _checked_name(name: Any, table: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DefinitionError(f"state machine of {table!r}: {name!r} is no SQL name. Use letters, digits and _, unquoted.")
    return name


def _text(state: Any, table: Any) -> str:
    value = state.value if isinstance(state, Enum) else state
    if not isinstance(value, str) or not re.fullmatch(r"\w[\w-]*", value):
        raise DefinitionError(f"{table}: {state!r} is no state. Use texts of letters, digits, _ and -.")
    return value
