"""Many calls in one request: each answered as a single one would be, as soon as it has ended."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.serving.asking import SECRET, ask, batch, call_to, signed
from tests.serving.stock import Stock, left
from troth.core import limits
from troth.core.words import Op
from troth.engine.clock import Clock
from troth.wire import http as wire

Served = Callable[..., int]


def test_a_batch_is_answered_line_by_line_as_single_calls_are(served: Served, stock: Stock) -> None:
    """Done, refused, ongoing, unknown step, wrong arguments: each by its number."""
    port = served()
    calls = [
        call_to("stock.reserve", {"sku": "a", "n": 1}), call_to("stock.reserve", {"sku": "b", "n": 1}),
        call_to("stock.count", {"sku": "a"}), call_to("nobody", {}), call_to("stock.reserve", {"sku": 1, "n": 1}),
        call_to("stock.mail", {"to": "x"}), call_to("stock.reserve", {"sku": "a", "n": 1}, Op.CONFIRM),
    ]  # fmt: skip
    said = {line.n: line for line in batch(port, calls)}
    assert {n: line.status for n, line in said.items()} == {1: 200, 2: 409, 3: 425, 4: 404, 5: 400, 6: 404, 7: 400}
    assert bytes(said[1].body) == b"9"
    assert json.loads(bytes(said[2].body))["detail"] == "b is sold out"
    assert said[3].retry_after == 7


def test_a_slow_call_of_a_batch_holds_up_no_other(served: Served, stock: Stock) -> None:
    """The answers of the others are there while it still runs; its own comes when it ends."""
    calls = [call_to("stock.aslow", {"sku": "a"}), *(call_to("stock.reserve", {"sku": "a", "n": 1}) for _ in range(5))]
    lines = batch(served(), calls)
    assert sorted(next(lines).n for _ in range(5)) == [2, 3, 4, 5, 6]
    assert not stock.gate.is_set()
    stock.gate.set()
    assert [line.n for line in lines] == [1]
    assert left(stock) == 5


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{}\n", 400), (b"no\n", 400), (b"{}\n" * (limits.BATCH_CALLS + 1), 413), (b"", 200), (b"x" * (limits.BATCH_BYTES + 1), 413)],
    ids=["no call", "no JSON", "too many", "none", "too large"],
)
def test_a_batch_that_can_not_be_read_begins_nothing(served: Served, stock: Stock, body: bytes, status: int) -> None:
    """Which call a broken line would be isn't known, so the whole is refused."""
    try:
        assert ask(served(), "POST", "/troth/batch", body, {"content-type": wire.NDJSON}).status == status
    except (BrokenPipeError, ConnectionResetError):
        assert status == 413
    assert stock.runs == []


def test_a_batch_is_signed_as_a_whole(served: Served) -> None:
    """By the digest of its body."""
    port, now = served(secret=SECRET), Clock().now() // 1_000_000
    calls = [call_to("stock.reserve", {"sku": "a", "n": 1})]
    body = wire.call_line(1, "steps/stock.reserve", calls[0])
    assert [line.status for line in batch(port, calls, more=signed(body, wire.batch_id(body), now))] == [200]
    headers = {"content-type": wire.NDJSON, **signed(body, "x", now)}
    assert ask(port, "POST", "/troth/batch", body, headers).status == 401


def test_without_batches_their_path_is_404_and_not_offered(served: Served) -> None:
    """A caller that tries all the same goes back to single calls."""
    port = served(batch=False)
    said = ask(port, "POST", "/troth/batch", b"", {"content-type": wire.NDJSON})
    assert (said.status, "troth-batch" in said.headers) == (404, False)


def test_a_repetition_waits_for_the_call_that_still_runs(served: Served, stock: Stock) -> None:
    """Both get the one answer, and only one was run and holds a thread."""
    port = served()
    call = call_to("stock.slow", {"sku": "a"})
    lines = batch(port, [call, call._replace(attempt=2)])
    more = batch(port, [call._replace(attempt=3), call_to("stock.count", {"sku": "a"})])
    assert next(more).n == 2
    assert stock.entered.acquire(timeout=10)
    stock.gate.set()
    assert [bytes(line.body) for line in (*lines, *more)] == [b'"slow"'] * 3
    assert (stock.runs, left(stock)) == (["slow"], 9)
