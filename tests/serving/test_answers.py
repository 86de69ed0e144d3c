"""What a participant of ours answers, by ASGI and by WSGI: each status once, with its words."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from tests.serving.asking import SECRET, ask, call_to, send, signed
from tests.serving.stock import Stock, left
from troth.core import limits
from troth.core.words import Op
from troth.wire import http as wire

Served = Callable[..., int]


def test_an_action_is_done_once_and_its_answer_kept(served: Served, stock: Stock) -> None:
    """The same key again gets the first answer; the effect is there once; no node was started for it."""
    port = served()
    call = call_to("stock.reserve", {"sku": "a", "n": 3})
    first = send(port, call)
    assert (first.status, first.json, first.headers["content-type"]) == (200, 7, "application/json")
    assert first.headers["troth-batch"] == "batch"
    assert send(port, call._replace(attempt=2)).body == first.body
    assert (left(stock), stock.runs) == (7, ["reserve"])
    assert stock.troth.runtime.node is None


def test_a_name_is_found_by_its_alias_and_by_its_short_form(served: Served, stock: Stock) -> None:
    """``stock.take`` is the step's old name; ``reserve`` is what only one is called."""
    port = served()
    for name in ("stock.take", "reserve"):
        assert send(port, call_to(name, {"sku": "a", "n": 1})).status == 200
    assert left(stock) == 8


def test_a_refusal_is_409_with_its_reason(served: Served, stock: Stock) -> None:
    """The customer can be told why."""
    said = send(served(), call_to("stock.reserve", {"sku": "b", "n": 1}))
    assert (said.status, said.detail) == (409, "b is sold out")


def test_the_same_key_with_another_payload_is_422(served: Served) -> None:
    """What was asked first holds."""
    port = served()
    call = call_to("stock.reserve", {"sku": "a", "n": 3})
    assert send(port, call).status == 200
    assert send(port, call_to("stock.reserve", {"sku": "a", "n": 4}, like=call)).status == 422


def test_a_compensation_undoes_and_an_empty_one_shuts_the_door(served: Served, stock: Stock) -> None:
    """Repeated, it is done once; before its action it is done too, and the action that comes late is refused."""
    port = served()
    call = call_to("stock.reserve", {"sku": "a", "n": 3})
    send(port, call)
    for _ in range(2):
        assert send(port, call_to("stock.reserve", None, Op.COMPENSATE, like=call)).status == 200
    assert left(stock) == 10
    late = call_to("stock.reserve", {"sku": "a", "n": 3})
    assert send(port, call_to("stock.reserve", None, Op.COMPENSATE, like=late)).status == 200
    assert send(port, late).status == 409
    assert (left(stock), stock.runs) == (10, ["reserve", "release"])


def test_a_tcc_class_is_tried_confirmed_and_cancelled(served: Served, stock: Stock) -> None:
    """Confirm and cancel get the hold that the barrier kept; a confirm without its try is refused, a late try too."""
    port = served()
    confirmed, cancelled, empty, refused = (call_to("stock.Hold", {"sku": "a", "n": n}, Op.TRY) for n in (1, 2, 3, 99))
    for call, last in ((confirmed, Op.CONFIRM), (cancelled, Op.CANCEL)):
        assert send(port, call, kind="tcc").status == 200
        for _ in range(2):
            assert send(port, call._replace(op=last), kind="tcc").status == 200
    assert send(port, empty._replace(op=Op.CONFIRM), kind="tcc").status == 409
    assert send(port, empty._replace(op=Op.CANCEL), kind="tcc").status == 200
    assert send(port, empty, kind="tcc").status == 409
    assert send(port, refused, kind="tcc").detail == "a is sold out"
    assert (left(stock), stock.runs) == (9, ["try", "confirm 1", "try", "cancel 2", "try"])


def test_steps_and_tcc_classes_are_apart(served: Served) -> None:
    """A TCC class is no step, and the other way round; what there is, is named."""
    port = served()
    assert "Served: stock.aslow" in send(port, call_to("stock.Hold", {}, Op.TRY)).detail
    assert send(port, call_to("stock.reserve", {}, Op.TRY), kind="tcc").detail.endswith("Served: stock.Hold")
    assert send(port, call_to("stock.Hold", {}, Op.ACTION), kind="tcc").status == 400
    assert send(port, call_to("Hold", {"sku": "a", "n": 1}, Op.TRY), kind="tcc").status == 200


def test_seal_and_check_say_what_became_of_it(served: Served) -> None:
    """Not yet; done with its result; and one that was sealed never happens."""
    port = served()
    call = call_to("stock.reserve", {"sku": "a", "n": 3})
    assert send(port, call._replace(op=Op.CHECK)).status == 425
    send(port, call)
    for op in (Op.CHECK, Op.SEAL):
        said = send(port, call._replace(op=op))
        assert (said.status, said.json) == (200, 7)
    other = call_to("stock.reserve", {"sku": "a", "n": 3})
    assert send(port, other._replace(op=Op.SEAL)).status == 410
    assert send(port, other).status == 409


def test_ongoing_is_425_with_the_time_to_come_back(served: Served) -> None:
    """In whole seconds, as the standard has it."""
    said = send(served(), call_to("stock.count", {"sku": "a"}))
    assert (said.status, said.headers["retry-after"]) == (425, "7")


def test_an_error_is_500_rolled_back_and_logged_here(
    served: Served, stock: Stock, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller learns its words; the traceback is in the service's own log."""
    said = send(served(), call_to("stock.broken", {"sku": "a"}))
    assert (said.status, said.detail) == (500, "RuntimeError: the shelf fell over")
    assert left(stock) == 10
    assert any(record.exc_info and "stock.broken" in record.getMessage() for record in caplog.records)


def test_a_result_that_no_answer_holds_is_rolled_back(served: Served, stock: Stock) -> None:
    """It is found before the commit: nobody could ever be told of the effect."""
    said = send(served(), call_to("stock.huge", {"sku": "a"}))
    assert (said.status, left(stock)) == (500, 10)
    assert "ANSWER_BYTES" in said.detail


def test_a_step_that_takes_too_long_is_503(served: Served) -> None:
    """An async one is ended at its own timeout; whether it happened isn't known."""
    said = send(served(), call_to("stock.endless", {"sku": "a"}))
    assert (said.status, said.headers["retry-after"]) == (503, "1")


def test_a_step_that_cancels_itself_is_500(served: Served) -> None:
    """Whether it happened isn't known; the request is answered all the same."""
    assert send(served(), call_to("stock.cancels", {"sku": "a"})).status == 500


def test_arguments_that_the_step_does_not_take_are_400(served: Served, stock: Stock) -> None:
    """The field is named; its caller is told at once that a side is wrong."""
    said = send(served(), call_to("stock.reserve", {"sku": "a", "n": "many"}))
    assert said.status == 400
    assert "n" in said.detail and "stock.reserve" in said.detail
    assert (left(stock), stock.runs) == (10, [])


def test_an_empty_compensation_of_bad_arguments_is_done(served: Served) -> None:
    """What could never run needs no undoing, and is not asked to read its arguments for that."""
    call = call_to("stock.reserve", {"sku": "a", "n": "many"}, Op.COMPENSATE)
    assert send(served(), call).status == 200


def test_a_waived_compensation_is_done(served: Served, stock: Stock) -> None:
    """Callers needn't know that nothing has to be undone; its action is refused afterwards as ever."""
    port = served()
    stock.gate.set()
    call = call_to("stock.slow", {"sku": "a"})
    assert send(port, call).status == 200
    assert send(port, call._replace(op=Op.COMPENSATE)).status == 200
    assert left(stock) == 9


def test_sync_steps_run_in_threads_and_know_their_call(served: Served) -> None:
    """Not on the event loop; `troth.current()` is the call."""
    call = call_to("stock.where", {"sku": "a"})
    name, key = send(served(), call).json
    assert name != "MainThread"
    assert key == call.idempotency_key


def test_async_steps_run_on_one_loop(served: Served) -> None:
    """The server's, or one of our own where the server has none."""
    port = served()
    said = {send(port, call_to("stock.weigh", {"sku": "a"})).json for _ in range(3)}
    assert len(said) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stock.mail", "is not served: it is bare"),
        ("nothing", "no step 'nothing' is served here. Served: stock.aslow, stock.broken"),
        ("..%2Fetc", "is served"),
    ],
)
def test_what_is_not_served_is_404_and_says_why(served: Served, stock: Stock, name: str, said: str) -> None:
    """A bare step is not called from elsewhere; a wrong name is answered with the right ones."""
    found = send(served(), call_to(name, {"to": "x"}))
    assert found.status == 404
    assert said in found.detail
    assert stock.runs == []


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"content-type": "text/plain"}, 415, "send application/json"),
        ({wire.KEY: "abc"}, 400, "idempotency-key"),
        ({wire.BEGUN: "soon"}, 400, "troth-begun"),
        ({wire.LOG: ""}, 400, "troth-log"),
        ({wire.RESULT: "{"}, 400, "troth-result"),
    ],
)
def test_headers_that_are_wrong_are_named(served: Served, change: dict[str, str], status: int, said: str) -> None:
    """Nothing is run for a call that can't be told from others."""
    found = send(served(), call_to("stock.reserve", {"sku": "a", "n": 1}), more=change)
    assert found.status == status
    assert said in found.detail


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("gid=g", "branch_id: is missing"),
        ("gid=g&branch_id=b&op=eat", "op: 'eat' is none"),
        ("gid=..&branch_id=b&op=action", "gid"),
        ("&".join(f"a{n}=1" for n in range(100)), "the query can't be read"),
    ],
)
def test_a_query_that_is_wrong_is_400(served: Served, query: str, said: str) -> None:
    """Each part is named."""
    headers = {wire.KEY: f"{'0' * 32}/b/action", wire.BEGUN: "1", wire.LOG: "l", "content-type": wire.JSON}
    found = ask(served(), "POST", f"/troth/steps/stock.reserve?{query}", b"{}", headers)
    assert found.status == 400
    assert said in found.detail


def test_an_op_of_another_pattern_is_400(served: Served) -> None:
    """A step is never asked to try."""
    found = send(served(), call_to("stock.reserve", {"sku": "a", "n": 1}, Op.TRY))
    assert (found.status, "It knows action, check, compensate, seal" in found.detail) == (400, True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff{}", b"[" * 100_000])
def test_a_body_that_is_no_object_is_400(served: Served, body: bytes) -> None:
    """It is said what would be one."""
    query, headers, _ = wire.parts_of(call_to("stock.reserve", {}))
    path = f"/troth/steps/stock.reserve?{query}"
    found = ask(served(), "POST", path, body, {**headers, "content-type": wire.JSON})
    assert found.status == 400
    assert "body: is no JSON object" in found.detail


def test_a_body_that_is_too_large_is_413(served: Served) -> None:
    """With and without saying its size first it is read no further than the limit."""
    port = served()
    call = call_to("stock.reserve", {"sku": "a" * limits.PAYLOAD_BYTES, "n": 1})
    try:
        assert send(port, call).status == 413
    except (BrokenPipeError, ConnectionResetError):  # it was answered and closed before all was sent
        pass


def test_only_post_reaches_a_step_and_only_get_the_description(served: Served) -> None:
    """The answer says which method would do."""
    port = served()
    for method, path, allowed in (("GET", "/troth/steps/stock.reserve", "POST"), ("POST", "/troth/", "GET, HEAD")):
        found = ask(port, method, path)
        assert (found.status, found.headers["allow"]) == (405, allowed)


def test_the_description_says_what_is_served_and_what_is_not(served: Served) -> None:
    """A person with a browser finds the names, the ops and the reasons."""
    found = ask(served(), "GET", "/troth/").json
    steps = {each["name"]: each for each in found["steps"]}
    assert steps["stock.reserve"] == {
        "name": "stock.reserve", "path": "steps/stock.reserve", "ops": ["action", "check", "compensate", "seal"],
        "parameters": ["sku", "n"],
    }  # fmt: skip
    assert steps["stock.weigh"]["ops"] == ["action", "compensate"]
    assert found["tcc"][0]["ops"] == ["cancel", "confirm", "try"]
    assert [each["name"] for each in found["not_served"]] == ["stock.mail"]
    assert (found["protocol"], found["signed"], found["batch"]) == (1, False, "batch")


def test_steps_that_are_defined_later_are_served(served: Served, stock: Stock) -> None:
    """The routes may be mounted before the modules with the steps are imported."""
    port = served()
    assert send(port, call_to("late", {})).status == 404

    @stock.troth.step(guarded=True, name="late")
    def late() -> int:
        return 1

    said = send(port, call_to("late", {}))
    assert said.status == 404
    assert "nothing undoes it" in said.detail
    late.compensate(undo_late)
    assert send(port, call_to("late", {})).json == 1


def undo_late() -> None:
    """Undoes nothing."""


def test_with_a_secret_only_signed_requests_are_answered(served: Served, stock: Stock) -> None:
    """Missing, wrong, too old, over another call: 401 each, and nothing is run. Signed: done."""
    from troth.engine.clock import Clock

    port, now = served(secret=SECRET), Clock().now() // 1_000_000
    call = call_to("stock.reserve", {"sku": "a", "n": 1})
    body, own = bytes(call.args), wire.message_id(call)
    other = "whsec_" + base64.b64encode(b"o" * 32).decode()
    wrong = [{}, signed(body, own, now, other), signed(body, own, now - 301), signed(body, own, now + 301), signed(body, "x", now)]
    for headers in wrong:
        found = send(port, call, more=headers)
        assert found.status == 401, found
        assert "troth-batch" in found.headers
    moved = call._replace(begun=5)
    assert send(port, moved, more=signed(body, own, now)).status == 401
    assert ask(port, "GET", "/troth/").status == 401
    assert stock.runs == []
    assert send(port, call, more=signed(body, own, now)).status == 200
    assert ask(port, "GET", "/troth/", headers=signed(b"", "any", now)).json["signed"] is True


def test_a_call_of_no_transaction_is_an_ordinary_one(served: Served, stock: Stock) -> None:
    """No query and no key: the function in a local transaction of its own, each time it is called."""
    port, json_type = served(), {"content-type": wire.JSON}
    path = "/troth/steps/stock.reserve"
    for n in (9, 8):
        assert ask(port, "POST", path, b'{"sku":"a","n":1}', json_type).json == n
    assert ask(port, "POST", path, b'{"sku":"b","n":1}', json_type).status == 409
    assert ask(port, "POST", path, b'{"sku":"b"}', json_type).status == 400
    assert ask(port, "POST", "/troth/steps/stock.huge", b'{"sku":"a"}', json_type).status == 500
    assert ask(port, "POST", "/troth/steps/stock.weigh", b'{"sku":"a"}', json_type).status == 200
    assert ask(port, "POST", "/troth/steps/stock.mail", b'{"to":"x"}', json_type).status == 404
    assert left(stock) == 8
