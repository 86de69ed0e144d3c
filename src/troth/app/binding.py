"""Making a step's encoded arguments from encoded inputs and results, by their bytes.

The work is laid out when the graph is checked: per source one decoder that finds the members wanted and leaves them
encoded, and a template of the object between them. A binder is pure and never fails: what isn't there becomes null,
which the step's annotations judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Raw

from troth.core.plan import Bind
from troth.wire.reach import Member
from troth.wire.splice import prefix

NULL: Final = b"null"
ELSEWHERE: Final = -1
INPUT: Final = -1
"""The source that is the input; others are steps, by index."""

Bytes = Raw | bytes
Wanted = list[tuple[tuple[Member, ...], int]]
"""(path, place among the pieces) of each member that is wanted."""
Read = Callable[[Bytes, list[Bytes]], None]
"""(encoded source, pieces): puts the members found into their places among the pieces."""


class Source(NamedTuple):
    """Where an argument comes from.

    :param node: `INPUT`, or the index of the step whose result it is.
    :param path: the members to go through.
    """

    node: int
    path: tuple[Member, ...] = ()


def bind_object(arguments: Mapping[str, bytes | Source]) -> Bind:
    """A binder that makes one object of its arguments.

    :param arguments: by parameter name, an encoded constant or a source.
    """
    sources = [argument for argument in arguments.values() if isinstance(argument, Source)]
    near = all(len(source.path) < 2 for source in sources)
    once = len({(source.node, *[member.key for member in source.path]) for source in sources}) == len(sources)
    return _flat(arguments) if near and once else _deep(arguments)


def _flat(arguments: Mapping[str, bytes | Source]) -> Bind:
    """A binder of whole values and of members of the first level: one template, filled from one tuple."""
    by_node: dict[tuple[int, bool], list[tuple[str, Source]]] = {}
    members = []
    for name, argument in arguments.items():
        if isinstance(argument, Source):
            by_node.setdefault((argument.node, bool(argument.path)), []).append((name, argument))
            members.append(prefix(name).replace(b"%", b"%%") + b"%b")
        else:
            members.append((prefix(name) + argument).replace(b"%", b"%%"))
    template = b"{" + b",".join(members) + b"}"
    takers: list[tuple[int, Callable[[Bytes], Sequence[Bytes]]]] = []
    taken = []
    for (node, parted), wanted in by_node.items():
        taken += [name for name, _ in wanted]
        if parted:
            firsts = [source.path[0] for _, source in wanted]
            takers.append((node, _taker([each.key for each in firsts], [each.default or NULL for each in firsts])))
        else:
            takers.append((node, _whole(len(wanted))))
    places = [taken.index(name) for name, argument in arguments.items() if isinstance(argument, Source)]
    in_order = itemgetter(*places) if places != sorted(places) else None

    def bind(given: Raw, results: Sequence[Raw]) -> Raw:
        values: Sequence[Bytes] = ()
        for node, take in takers:
            values += take(given if node < 0 else results[node])  # type: ignore[operator]
        return Raw(template % (values if in_order is None else in_order(values)))

    return bind


def _whole(times: int) -> Callable[[Bytes], Sequence[Bytes]]:
    """A function that takes a value as it is, so many times."""

    def take(value: Bytes) -> Sequence[Bytes]:
        return (value,) * times

    return take


def _deep(arguments: Mapping[str, bytes | Source]) -> Bind:
    """A binder that goes into members of members."""
    template: list[Bytes] = []
    places: list[tuple[Source, int]] = []
    opening = b"{"
    for name, argument in arguments.items():
        if isinstance(argument, Source):
            template += [opening + prefix(name), NULL]
            places.append((argument, len(template) - 1))
        else:
            template.append(opening + prefix(name) + argument)
        opening = b","
    template.append(b"}" if arguments else b"{}")
    readers = _readers(places)

    def bind(given: Raw, results: Sequence[Raw]) -> Raw:
        pieces = template.copy()
        for node, read in readers:
            read(given if node < 0 else results[node], pieces)
        return Raw(b"".join(pieces))

    return bind


def bind_value(source: Source) -> Bind:
    """A binder that hands on one value."""
    ((node, read),) = _readers([(source, 0)])

    def bind(given: Raw, results: Sequence[Raw]) -> Raw:
        pieces: list[Bytes] = [NULL]
        read(given if node < 0 else results[node], pieces)
        return Raw(bytes(pieces[0]))

    return bind


def _readers(places: list[tuple[Source, int]]) -> list[tuple[int, Read]]:
    """One reader per source."""
    by_node: dict[int, Wanted] = {}
    for source, place in places:
        by_node.setdefault(source.node, []).append((source.path, place))
    return [(node, _reader(wanted)) for node, wanted in by_node.items()]


def _reader(wanted: Wanted) -> Read:
    """A reader of some members of one value."""
    whole = [place for path, place in wanted if not path]
    named: dict[str | int, Wanted] = {}
    defaults: dict[str | int, bytes] = {}
    for path, place in wanted:
        if path:
            named.setdefault(path[0].key, []).append((path[1:], place))
            defaults[path[0].key] = path[0].default or NULL
    inner = [_members(named, defaults)] if named else []

    def read(value: Bytes, pieces: list[Bytes]) -> None:
        for place in whole:
            pieces[place] = value
        for reader in inner:
            reader(value, pieces)

    return inner[0] if not whole else read


def _members(named: Mapping[str | int, Wanted], defaults: Mapping[str | int, bytes]) -> Read:
    """A reader that takes an object, or an array, apart; a member that only goes to one place is put there directly."""
    keys = list(named)
    readers = [_reader(wanted) for wanted in named.values()]
    simple = [wanted[0][1] if len(wanted) == 1 and not wanted[0][0] else ELSEWHERE for wanted in named.values()]
    take = _taker(keys, [defaults[key] for key in keys])
    if ELSEWHERE not in simple:

        def put(value: Bytes, pieces: list[Bytes]) -> None:
            for place, found in zip(simple, take(value), strict=False):
                pieces[place] = found

        return put

    def read(value: Bytes, pieces: list[Bytes]) -> None:
        for found, place, reader in zip(take(value), simple, readers, strict=True):
            if place != ELSEWHERE:
                pieces[place] = found
            else:
                reader(found, pieces)

    return read


def _taker(keys: list[str | int], defaults: list[bytes]) -> Callable[[Bytes], Sequence[Bytes]]:
    """A function that finds the members of those keys, each still encoded."""
    if all(isinstance(key, str) for key in keys):
        return _from_object([str(key) for key in keys], defaults)
    decode = msgspec.json.Decoder(list[Raw]).decode
    nothing = (NULL,) * len(keys)

    def take(value: Bytes) -> Sequence[Bytes]:
        try:
            items = decode(value)
        except msgspec.DecodeError:
            return nothing
        return tuple([items[key] if isinstance(key, int) and -len(items) <= key < len(items) else NULL for key in keys])

    return take


def _from_object(keys: list[str], defaults: list[bytes]) -> Callable[[Bytes], Sequence[Bytes]]:
    fields: list[Any] = [(f"f{n}", Raw, Raw(default)) for n, default in enumerate(defaults)]
    rename = {f"f{n}": key for n, key in enumerate(keys)}
    decode = msgspec.json.Decoder(msgspec.defstruct("Members", fields, rename=rename)).decode
    astuple = msgspec.structs.astuple
    nothing = (NULL,) * len(keys)

    def take(value: Bytes) -> Sequence[Bytes]:
        try:
            return astuple(decode(value))
        except msgspec.DecodeError:
            return nothing

    return take
