"""Graphs are checked and laid out before they run; every error names the graph, the step and the cure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec import Raw

from tests.app.recording import Recording
from troth.app.graph import Graph, only_after_decision
from troth.app.host import Options
from troth.core import limits
from troth.core.words import Role
from troth.ports.errors import DefinitionError, LimitExceeded, PayloadError


@dataclasses.dataclass
class Line:
    sku: str
    n: int


class Order(msgspec.Struct, rename="camel", omit_defaults=True):
    id: str
    lines: list[Line]
    sku: str = "none"
    customer_name: str | None = None


class Made(NamedTuple):
    order_id: str
    line: Line | None = None


ORDER = Order("1", [Line("a", 1), Line("b", 2)])


def create(order: Order) -> Made:
    return Made(order.id)


def reserve(sku: str, n: int = 1) -> int:
    return n


def charge(order_id: str, amount: float = 0.5) -> str:
    return order_id


def notify(customer_name: str | None, text: str = "hi") -> None: ...


def awkward(after: str, role: int) -> None: ...


class Shop:
    """A host with the steps above."""

    def __init__(self) -> None:
        self.host = Recording()
        made = [self.host.step(name=fn.__name__)(fn) for fn in (create, reserve, charge, notify, awkward)]
        self.create, self.reserve, self.charge, self.notify, self.awkward = made
        self.graph: Graph[Order, Any] = self.host.graph("place-order", input=Order)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_graph_becomes_a_plan(shop: Shop) -> None:
    """The design's own example: order, ids, dependencies, roles, budget."""
    place: Any = shop.graph
    a = place.step(shop.create)
    b = place.step(shop.reserve, after=a)
    c = place.step(shop.charge, after=b, role="pivot", order_id=a.result.order_id)
    place.step(shop.notify, after=c, role="retriable")
    plan = place.plan
    assert [node.id for node in plan.steps] == ["0/create#1", "0/reserve#1", "0/charge#1", "0/notify#1"]
    assert [node.after for node in plan.steps] == [(), (0,), (0, 1), (2,)]
    assert [node.needs for node in plan.steps] == [(), (), (0,), ()]
    assert [node.before for node in plan.steps] == [(1, 2), (2,), (3,), ()]
    assert [node.spec.role for node in plan.steps] == [Role.COMPENSABLE, Role.COMPENSABLE, Role.PIVOT, Role.RETRIABLE]
    assert (plan.form, plan.pivot, plan.retriables) == ("graph", 2, True)
    assert plan.timeout == 4 * (3 * limits.PARTICIPANT_TIMEOUT + 1 + 2)
    assert only_after_decision([place]) == {"charge", "notify"}


def bound(place: Any, *results: bytes) -> dict[str, bytes]:
    raw = place.bind((ORDER,), {})
    given = [Raw(each) for each in results]
    given += [Raw(b"null")] * (len(place.plan.steps) - len(given))
    return {node.id: bytes(node.bind(raw, given)) for node in place.plan.steps}


def test_arguments_are_spliced_from_input_and_results(shop: Shop) -> None:
    """By type the whole input, by name its fields (and defaults of what is left out), references, constants."""
    place: Any = shop.graph
    a = place.step(shop.create)
    place.step(shop.reserve)
    place.step(shop.reserve, sku=place.input.lines[1].sku, n=place.input.lines[1].n)
    place.step(shop.reserve, sku=a.result.line.sku, n=7)
    place.step(shop.charge, order_id=a.result.order_id, amount=1)
    place.step(shop.notify)
    assert bound(place, b'["x",{"sku":"c","n":3}]') == {
        "0/create#1": b'{"order":{"id":"1","lines":[{"sku":"a","n":1},{"sku":"b","n":2}]}}',
        "0/reserve#1": b'{"sku":"none"}',
        "0/reserve#2": b'{"sku":"b","n":2}',
        "0/reserve#3": b'{"sku":"c","n":7}',
        "0/charge#1": b'{"order_id":"x","amount":1}',
        "0/notify#1": b'{"customer_name":null}',
    }


def test_a_path_that_leads_nowhere_is_null(shop: Shop) -> None:
    """Binding is total: what isn't there becomes null, which the step's own annotations judge."""
    place: Any = shop.graph
    a = place.step(shop.create)
    place.step(shop.reserve, sku=a.result.line.sku, n=a.result.line.n)
    place.step(shop.charge, order_id=place.input.lines[9].sku)
    for result in (b"null", b'["x",null]', b"[]", b"7", b'["x",{}]'):
        made = bound(place, result)
        assert made["0/reserve#1"] == b'{"sku":null,"n":null}'
        assert made["0/charge#1"] == b'{"order_id":null}'
    with pytest.raises(PayloadError, match=r"^sku: expected str, got null"):
        shop.reserve.signature.load(b'{"sku":null,"n":null}')


def test_one_value_can_go_to_several_places(shop: Shop) -> None:
    """The same member, and a member of it, can be used side by side."""
    host = shop.host

    @host.step(name="both")
    def both(line: Line, sku: str, again: str, order: Order, lines: list[Line]) -> None: ...

    place: Any = shop.graph
    line = place.input.lines[0]
    place.step(both, line=line, sku=line.sku, again=line.sku)
    assert bound(place)["0/both#1"] == (
        b'{"line":{"sku":"a","n":1},"sku":"a","again":"a","order":{"id":"1","lines":[{"sku":"a","n":1},{"sku":"b","n":2}]}'
        b',"lines":[{"sku":"a","n":1},{"sku":"b","n":2}]}'
    )


def test_colliding_names_go_in_args(shop: Shop) -> None:
    """Parameters named as those of .step are given in args=."""
    place: Any = shop.graph
    place.step(shop.awkward, args={"after": "x", "role": 3})
    assert bound(place)["0/awkward#1"] == b'{"after":"x","role":3}'


def test_after_takes_steps_and_names_also_later_ones(shop: Shop) -> None:
    """Names are stored names, a function's own, or name#2 for a second use; order follows."""
    place: Any = shop.graph
    place.step(shop.charge, after="reserve#2", order_id="x")
    first = place.step(shop.reserve)
    place.step(shop.reserve, after=[first, "create"])
    place.step(shop.create)
    assert [node.id for node in place.plan.steps] == ["0/reserve#1", "0/create#1", "0/reserve#2", "0/charge#1"]
    assert place.plan.steps[2].after == (0, 1)
    assert place.plan.steps[3].after == (2,)


def test_a_functions_own_name_will_do() -> None:
    """after= takes the name of the def where that is clear."""
    host = Recording()
    long = host.step(create)
    place: Any = host.graph("g", input=Order)
    place.step(host.step(reserve), after="create")
    place.step(long)
    assert place.plan.steps[1].after == (0,)
    place = host.graph("h", input=Order)
    place.step(host.step(name="a.reserve")(reserve))
    place.step(host.step(name="b.reserve")(reserve))
    place.step(long, after="reserve")
    with pytest.raises(DefinitionError, match=r"after='reserve' could be a.reserve or b.reserve. Name one"):
        place.check()


def test_results_by_name_or_as_said(shop: Shop) -> None:
    """A graph returns its results by step name, or what returns() refers to."""
    place: Any = shop.graph
    a = place.step(shop.create)
    place.step(shop.reserve)
    place.step(shop.reserve)
    raw = place.plan.returns(Raw(b"{}"), [Raw(b'["x",null]'), Raw(b"1"), Raw(b"2")])
    assert bytes(raw) == b'{"create":["x",null],"reserve":1,"reserve#2":2}'
    assert place.decode_result(raw) == {"create": Made("x"), "reserve": 1, "reserve#2": 2}
    other: Any = Shop()
    a = other.graph.step(other.create)
    assert other.graph.returns(a.result.order_id) is other.graph
    raw = other.graph.plan.returns(Raw(b"{}"), [Raw(b'["x",null]')])
    assert bytes(raw) == b'"x"'
    assert other.graph.decode_result(raw) == "x"


def test_every_verb_reaches_the_host(shop: Shop) -> None:
    """A graph is called as a sync saga is; its gid comes from the call or its own gid=."""
    place: Any = shop.graph
    place.step(shop.create)
    none = Options()
    assert place(ORDER) == (place, (ORDER,), {}, "call", "own", none)
    assert place.aio.start(ORDER) == (place, (ORDER,), {}, "start", "aio", none)
    assert place.options(gid="g", timeout=2).run(ORDER) == (place, (ORDER,), {}, "run", "own", Options("g", 2.0))
    with_gid = shop.host.graph("other", input=Order, gid=lambda order: f"order-{order.id}")
    assert with_gid.gid_of((ORDER,), {}, Options()) == "order-1"
    assert place.gid_of((ORDER,), {}, none) is None
    with pytest.raises(TypeError, match="graph place-order: takes exactly one argument, its input"):
        place.bind((), {})
    with pytest.raises(PayloadError, match=r"^input\.id: expected str, got int"):
        place.bind((Order(7, []),), {})  # type: ignore[arg-type]


def test_a_checked_graph_is_frozen(shop: Shop) -> None:
    """After its first use nothing can be added; a declared timeout is kept."""
    place: Any = shop.host.graph("g", input=Order, timeout=5)
    a = place.step(shop.create)
    assert place.timeout == 5.0
    changes: list[Callable[[], Any]] = [lambda: place.step(shop.reserve), lambda: place.returns(a.result)]
    for change in changes:
        with pytest.raises(DefinitionError, match=r"graph g: it was checked or used and can't change.*Make another graph"):
            change()


def build(shop: Shop, case: str) -> None:
    place: Any = shop.graph
    other: Any = shop.host.graph("other", input=Order)
    a = place.step(shop.create)
    foreign = other.step(shop.create)
    match case:
        case "unknown parameter":
            place.step(shop.reserve, speed=1)
        case "missing parameter":
            place.step(shop.charge)
        case "bad constant":
            place.step(shop.reserve, n="x")
        case "wrong type":
            place.step(shop.reserve, n=a.result.order_id)
        case "foreign reference":
            place.step(shop.charge, order_id=foreign.result.order_id)
        case "foreign after":
            place.step(shop.reserve, after=foreign)
        case "unknown after":
            place.step(shop.reserve, after="nobody")
        case "circle":
            place.step(shop.reserve, after="charge")
            place.step(shop.charge, order_id="x", after="reserve")
        case "beside the pivot":
            place.step(shop.charge, role="pivot", order_id="x")
        case "retriable before":
            place.step(shop.charge, role="retriable", order_id="x")
            place.step(shop.reserve, after="charge")
        case "two pivots":
            place.step(shop.charge, role="pivot", order_id="x", after=a)
            place.step(shop.notify, role="pivot", after="charge")
        case "local":
            place.step(shop.host.step(name="loc", role="local")(reserve))
        case "no step":
            place.step(reserve)
        case "bad role":
            place.step(shop.reserve, role="last")
        case "given twice":
            place.step(shop.reserve, args={"n": 1}, n=2)
        case "no member of input":
            place.step(shop.reserve, n=place.input.amount)
        case "no member of result":
            place.step(shop.charge, order_id=a.result.nope)
        case "no member of a scalar":
            place.step(shop.charge, order_id=a.result.order_id.x)
        case "truth of a reference":
            place.step(shop.charge, order_id="x" if a.result.order_id else "y")
        case "text of a reference":
            place.step(shop.charge, order_id=f"order {a.result}")
        case "returns":
            place.returns(foreign.result)
        case "returns no reference":
            place.returns(a)
    place.check()


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("unknown parameter", "step reserve has no parameter speed; it has sku, n. Leave it out"),
        (
            "missing parameter",
            "step charge: parameter order_id is neither given nor a field of the input. Pass it, e.g.",
        ),
        ("bad constant", "step reserve: n: expected int, got str"),
        ("wrong type", "step reserve: parameter n is int, but create.result.order_id is str. Refer to another"),
        (
            "foreign reference",
            "step charge: order_id=create.result.order_id is of another graph. Refer to a step of this",
        ),
        ("foreign after", "step reserve: after=<step create of graph other> is no step of this graph. Pass what"),
        (
            "unknown after",
            "step reserve waits for nobody, which is not in the graph. Add it, or name one of: create, res",
        ),
        ("circle", "step reserve waits for itself: reserve → charge → reserve. Remove one"),
        ("beside the pivot", "step create is compensable but does not stand before the pivot charge. Let charge wait"),
        ("retriable before", "step reserve is compensable but waits for charge, which is retriable.*Give it role"),
        ("two pivots", "step notify is a second pivot beside charge.*Make the earlier one compensable"),
        ("local", "step loc has the role local, which is never used in a saga. Leave role= out"),
        ("no step", "is no step. Decorate it with @troth.step first"),
        ("bad role", "step reserve: role='last' is none. Say compensable, pivot or retriable"),
        ("given twice", "step reserve: n is given twice. Leave it out of args="),
        ("no member of input", "input.amount: Order has no member 'amount'. It has: id, lines, sku, customer_name"),
        ("no member of result", "create.result.nope: Made has no member 'nope'. It has: order_id, line"),
        ("no member of a scalar", "create.result.order_id.x: str has no member 'x'. Refer to it whole"),
        ("truth of a reference", "create.result.order_id has no value while the graph is being defined. Pass it"),
        ("text of a reference", "create.result has no value while the graph is being defined"),
        ("returns", "returns.<reference create.result>. is no reference of this graph. Pass e.g. a.result"),
        ("returns no reference", "is no reference of this graph"),
    ],
)
def test_a_bad_graph_is_refused(shop: Shop, case: str, words: str) -> None:
    """Each way of declaring a graph that can't work is a DefinitionError that names the step and the cure."""
    with pytest.raises(DefinitionError, match=words) as caught:
        build(shop, case)
    assert "member" in words or "value" in words or str(caught.value).startswith("graph place-order: ")


def test_an_empty_graph_is_refused(shop: Shop) -> None:
    """A graph without steps has nothing to do."""
    with pytest.raises(DefinitionError, match=r"graph place-order: there are no steps. Add one"):
        shop.graph.check()


def test_names_and_types_of_a_graph_are_checked(shop: Shop) -> None:
    """A bad or taken name, and an input that can't travel, are refused at once."""
    host = shop.host
    with pytest.raises(DefinitionError, match="graph: 'a/b' contains / or #"):
        host.graph("a/b", input=Order)
    with pytest.raises(LimitExceeded, match="NAME_LENGTH"):
        host.graph("x" * 129, input=Order)
    with pytest.raises(DefinitionError, match=r"graph g: its input: type builtins.complex can't be encoded. Use a"):
        host.graph("g", input=complex)
    host.saga(name="taken")(charge)
    with pytest.raises(DefinitionError, match=r"saga taken: the name taken belongs to .*charge already"):
        host.graph("taken", input=Order)


def test_the_same_graph_again_replaces(shop: Shop) -> None:
    """A graph declared again in the same module takes the old one's place."""
    again = shop.host.graph("place-order", input=Order)
    assert shop.host.sagas.find("place-order") is again


def test_a_graph_has_a_limit_of_steps(shop: Shop) -> None:
    """More than BRANCHES steps are no transaction."""
    place: Any = shop.graph
    for _ in range(limits.BRANCHES):
        place.step(shop.reserve)
    with pytest.raises(DefinitionError, match=r"step reserve is one more than BRANCHES \(1000\)\. Split the saga"):
        place.step(shop.reserve)
