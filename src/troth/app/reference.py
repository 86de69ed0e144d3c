"""References: what stands in a graph for a value that will only be known when it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from troth.ports.errors import DefinitionError
from troth.wire.reach import Member, fields_of, member

if TYPE_CHECKING:
    from troth.app.graph import GraphStep

T_co = TypeVar("T_co", covariant=True)


class Ref(Generic[T_co]):
    """A reference to the input, a step's result, or a member of either: ``place.input.sku``, ``a.result["id"]``.

    A path that leads nowhere when it runs (the result was None) gives null; a parameter that can't be None refuses it.
    """

    __slots__ = ("_annotation", "_label", "_path", "_source")

    def __init__(
        self, source: GraphStep[Any] | None, annotation: Any, label: str, path: tuple[Member, ...] = ()
    ) -> None:
        """A reference; made by `Graph.input` and `GraphStep.result`.

        :param source: the step whose result it is; None: the input.
        :param label: how errors call it.
        """
        self._source = source
        self._annotation = annotation
        self._label = label
        self._path = path

    def __getattr__(self, name: str) -> Ref[Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._to(name, f"{self._label}.{name}")

    def __getitem__(self, key: str | int) -> Ref[Any]:
        return self._to(key, f"{self._label}[{key!r}]")

    def _to(self, key: str | int, label: str) -> Ref[Any]:
        found = member(self._annotation, key)
        if found is None:
            kind = getattr(self._annotation, "__name__", str(self._annotation))
            known = fields_of(self._annotation)
            cure = f"It has: {', '.join(known)}." if known else "Refer to it whole, or annotate it."
            raise DefinitionError(f"{label}: {kind} has no member {key!r}. {cure}")
        return Ref(self._source, found.annotation, label, (*self._path, found))

    def _refuse(self, *_: Any) -> NoReturn:
        raise DefinitionError(
            f"{self._label} has no value while the graph is being defined. Pass it to a step, and compute there."
        )

    __bool__ = __iter__ = __len__ = __lt__ = __gt__ = __le__ = __ge__ = __add__ = __sub__ = __mul__ = _refuse
    __radd__ = __rsub__ = __rmul__ = __truediv__ = __call__ = __int__ = __float__ = __contains__ = _refuse

    def __format__(self, spec: str) -> str:
        self._refuse()

    def __repr__(self) -> str:
        return f"<reference {self._label}>"


def parts(ref: Ref[Any]) -> tuple[GraphStep[Any] | None, tuple[Member, ...], Any, str]:
    """(source, path, annotation, label) of a reference."""
    return ref._source, ref._path, ref._annotation, ref._label
