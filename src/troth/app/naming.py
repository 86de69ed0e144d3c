"""The names that definitions are stored by, so that another process finds the same code again."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any, Generic, Protocol, TypeVar

from troth.core.ids import Unfit, check_gid, check_name
from troth.ports.errors import DefinitionError, LimitExceeded, PayloadError

MAIN = ("__main__", "__mp_main__")
"""The names that the program's first module goes by, in itself and in processes that multiprocessing spawned."""


class Named(Protocol):
    """What can be registered by name."""

    @property
    def name(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...
    @property
    def source(self) -> tuple[str, str]:
        """(module, qualified name) of its code: the same again replaces."""
        ...


T = TypeVar("T", bound=Named)


class Names(Generic[T]):
    """Definitions of one kind by their names and aliases.

    :param kind: how errors call them: ``step``, ``saga``.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._by_name: dict[str, T] = {}
        self._aliases: dict[str, T] = {}

    def add(self, definition: T) -> None:
        """Take a definition; the same module and qualified name again (a reload, a notebook cell) replaces.

        :raises DefinitionError: if another function has its name or one of its aliases.
        """
        for name in (definition.name, *definition.aliases):
            other = self._by_name.get(name) or self._aliases.get(name)
            if other is not None and other.source != definition.source:
                where = ".".join(other.source)
                raise DefinitionError(
                    f"{self._kind} {definition.name}: the name {name} belongs to {where} already. "
                    "Give one of them another name=."
                )
        replaced = self._by_name.get(definition.name)
        if replaced is not None:
            self._aliases = {alias: known for alias, known in self._aliases.items() if known is not replaced}
        self._by_name[definition.name] = definition
        for alias in definition.aliases:
            self._aliases[alias] = definition

    def find(self, name: str) -> T | None:
        """The definition of that name or alias."""
        return self._by_name.get(name) or self._aliases.get(name)

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._by_name.values()))

    def __len__(self) -> int:
        return len(self._by_name)


def source_of(fn: Callable[..., Any], kind: str) -> tuple[str, str]:
    """(module, qualified name) of a function that can be found again.

    :param kind: how errors call it: ``step``, ``saga``.
    :raises DefinitionError: if it is none: a lambda, a partial, a generator, an object.
    """
    if getattr(fn, "__name__", "") == "<lambda>":
        raise DefinitionError(f"{kind}: a lambda can't be found again after a restart. Write a def.")
    if not inspect.isfunction(fn):
        raise DefinitionError(f"{kind}: {fn!r} is no function. Write a def that calls it.")
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise DefinitionError(f"{kind} {fn.__qualname__}: a generator can't be one. Return the values as a list.")
    return _module_of(fn), fn.__qualname__


def name_of(fn: Callable[..., Any], given: str | None, kind: str) -> str:
    """The name a function is stored by: the given one, or ``module.qualname``.

    :raises DefinitionError: if it has none that another process would find.
    :raises LimitExceeded: if it is too long.
    """
    return _stored_name(source_of(fn, kind), given, kind)


def class_source(cls: Any, kind: str) -> tuple[str, str]:
    """(module, qualified name) of a class that can be found again.

    :raises DefinitionError: if it is no class.
    """
    if not isinstance(cls, type):
        raise DefinitionError(f"{kind}: {cls!r} is no class. Decorate a class with try_, confirm and cancel.")
    return _module_of(cls), cls.__qualname__


def class_name_of(cls: type, given: str | None, kind: str) -> str:
    """The name a class is stored by; as `name_of`."""
    return _stored_name(class_source(cls, kind), given, kind)


def _stored_name(source: tuple[str, str], given: str | None, kind: str) -> str:
    module, qualname = source
    if given is None and "<locals>" in qualname:
        raise DefinitionError(
            f"{kind} {qualname.rpartition('.')[2]}: it is defined inside of {qualname.partition('.<locals>')[0]}, so no other "
            "process would find it by its place. Define it at the module's level, or give it a name=."
        )
    return checked_name(given if given is not None else f"{module}.{qualname}", kind)


def checked_name(name: object, kind: str) -> str:
    """The name, if it is one.

    :raises DefinitionError: if it isn't.
    :raises LimitExceeded: if it is too long.
    """
    try:
        return check_name(name)
    except Unfit as error:
        if error.limit:
            raise LimitExceeded(error.limit, f"{kind} {error.problem}", error.maximum, error.cure) from error
        raise DefinitionError(f"{kind}: {error.problem}. {error.cure}.") from error


def checked_aliases(aliases: object, what: str) -> tuple[str, ...]:
    """The aliases, if they are some.

    :raises DefinitionError: if they aren't.
    """
    if isinstance(aliases, str) or not isinstance(aliases, (tuple, list, set, frozenset)):
        raise DefinitionError(f'{what}: aliases= takes several names. Write aliases=("old_name",).')
    return tuple(checked_name(alias, f"{what}: alias") for alias in aliases)


def checked_gid(gid: object) -> str:
    """The gid, if it is one.

    :raises PayloadError: if it isn't.
    :raises LimitExceeded: if it is too long.
    """
    try:
        return check_gid(gid)
    except Unfit as error:
        if error.limit:
            raise LimitExceeded(error.limit, error.value, error.maximum, error.cure) from error
        raise PayloadError("gid", error.problem, error.cure) from error


def checked_seconds(value: object, what: str, option: str) -> float:
    """The number of seconds, if it is a positive one.

    :raises DefinitionError: if it isn't.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9:
        raise DefinitionError(f"{what}: {option}={value!r} is no time. Give seconds, more than 0.")
    return float(value)


def _module_of(fn: Any) -> str:
    """The module's name as other processes import it; the program's own by its spec, else by its file's stem."""
    module: str = fn.__module__
    if module not in MAIN:
        return module
    main = sys.modules.get(module)
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    return PurePath(file).stem if file else "__main__"
