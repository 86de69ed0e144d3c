"""What an annotation promises about its values: whether they can be encoded, and which checks encoding them needs.

msgspec writes NaN as ``null`` in silence, encodes NUL characters and integers of any size, and takes almost anything
where nothing is annotated. A `Shape` says which of these can happen under an annotation, so that values that can't be
affected pay for no check.
"""

from __future__ import annotations

import sys
import types
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import inspect as ms

INT_BOUNDS = msgspec.Meta(ge=-(2**63), le=2**63 - 1)
CURE = (
    "Use a dataclass, a msgspec Struct, a pydantic model, Decimal, datetime, date, UUID, an Enum, bytes or plain "
    "JSON types"
)


class Unencodable(TypeError):
    """An annotation whose values can't be encoded.

    :param problem: what is wrong with it, beginning with the type.
    :param cure: what to write instead.
    """

    def __init__(self, problem: str, cure: str = CURE) -> None:
        super().__init__(f"{problem}. {cure}")
        self.problem = problem
        self.cure = cure


class Shape:
    """What can occur below an annotation.

    :ivar nullable: a null can stand there, so a NaN would hide in it.
    :ivar decimals: Decimals, or models that may write NaN in their own way.
    :ivar wide: integers that the decoder doesn't bound.
    :ivar sets: sets, whose order differs between processes.
    :ivar anything: the annotation itself is Any: whatever was encoded can be decoded.
    """

    __slots__ = ("anything", "decimals", "info", "nullable", "sets", "wide")

    def __init__(self, annotation: Any) -> None:
        try:
            self.info = ms.type_info(annotation)
        except (TypeError, NameError) as error:
            raise Unencodable(_worded(error)) from error
        self.nullable = self.decimals = self.wide = self.sets = False
        self.anything = isinstance(self.info, ms.AnyType)
        seen: set[int] = set()
        todo: list[ms.Type] = [self.info]
        while todo:
            node = todo.pop()
            key = id(getattr(node, "cls", node))
            if key not in seen:
                seen.add(key)
                self._look(node)
                todo.extend(below(node))

    def _look(self, node: ms.Type) -> None:
        if isinstance(node, ms.AnyType):
            self.nullable = self.wide = True
        elif isinstance(node, ms.NoneType):
            self.nullable = True
        elif isinstance(node, ms.DecimalType):
            self.decimals = True
        elif isinstance(node, ms.IntType):
            self.wide = self.wide or node.le is None or node.ge is None
        elif isinstance(node, (ms.SetType, ms.FrozenSetType)):
            self.sets = True
        elif isinstance(node, ms.CustomType):
            if not is_model(node.cls):
                raise Unencodable(f"type {node.cls.__module__}.{node.cls.__qualname__} can't be encoded")
            _check_models(node.cls)
            self.nullable = self.decimals = self.wide = True
        elif isinstance(node, (ms.RawType, ms.ExtType)):
            raise Unencodable(f"type {type(node).__name__.removesuffix('Type')} of msgspec can't be used")


def below(node: ms.Type) -> list[ms.Type]:
    """The types directly below one."""
    if isinstance(node, (ms.ListType, ms.SetType, ms.FrozenSetType, ms.VarTupleType, ms.CollectionType)):
        return [node.item_type]
    if isinstance(node, ms.TupleType):
        return list(node.item_types)
    if isinstance(node, ms.DictType):
        return [node.key_type, node.value_type]
    if isinstance(node, ms.UnionType):
        return list(node.types)
    if isinstance(node, ms.Metadata):
        return [node.type]
    fields = getattr(node, "fields", None)
    return [field.type for field in fields] if fields else []


def bounded(annotation: Any) -> Any:
    """The annotation with its plain integers bounded to 64 bits, where they stand outside of classes."""
    if annotation is int:
        return Annotated[int, INT_BOUNDS]
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return Union[tuple(bounded(arg) for arg in args)]  # noqa: UP007 - made of computed members
    if origin in (list, tuple, set, frozenset, dict) and args:
        return origin[tuple(arg if arg is Ellipsis else bounded(arg) for arg in args)]
    return annotation


def is_model(cls: Any) -> bool:
    """Whether it is a pydantic model. pydantic is never imported here: without it there are no models."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(cls, type) and issubclass(cls, pydantic.BaseModel)


def _check_models(cls: type) -> None:
    """Models travel by field name, which pydantic can validate by since 2.11."""
    version = str(sys.modules["pydantic"].VERSION)
    if tuple(int(part) for part in version.split(".")[:2]) < (2, 11):
        raise Unencodable(
            f"type {cls.__qualname__} is a model of pydantic {version}, which can't read models by field name",
            "Upgrade to pydantic 2.11 or newer",
        )


def _worded(error: Exception) -> str:
    text = str(error).replace("`", "").removesuffix(".")
    return text[:1].lower() + text[1:]
