"""Functions left by what is no Exception: a signal in the caller's thread, SystemExit, a cancelled task."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.app.trades import Trade
from troth.core import limits


def interrupt(thread: threading.Thread, kind: type[BaseException] = KeyboardInterrupt) -> None:
    """As a signal would in the main thread: raise at its next instruction."""
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(kind)) == 1


@pytest.mark.parametrize("where", ["in the function", "in a step", "in a step on a database", "while waiting"])
def test_an_interrupted_caller_leaves_the_saga_to_the_node(tmp_path: Path, where: str) -> None:
    """KeyboardInterrupt goes to the caller at once; the node runs the function again and finishes it."""
    trade = Trade()
    troth = trade.troth
    stock = troth.database("stock", f"sqlite:///{tmp_path}/stock.db")
    inside, hit = threading.Event(), []

    def spin(place: str) -> None:
        if where == place and not hit:
            hit.append(1)
            inside.set()
            end = threading.Event()
            while True:  # until interrupted
                end.wait(0.001)

    gate = threading.Event()
    step = trade.step("work", lambda n: spin("in a step") or n, interval=0.01)

    @troth.step(on=stock, name="store", interval=0.01)
    def store(db: Any, n: int) -> int:
        db.execute("INSERT INTO stored VALUES (?)", (n,))
        spin("in a step on a database")
        return n

    @store.compensate
    def unstore(db: Any, n: int) -> None:
        db.execute("DELETE FROM stored WHERE n = ?", (n,))

    async def hold(n: int) -> int:
        if where == "while waiting":
            inside.set()
            while not gate.is_set():
                await asyncio.sleep(0.001)
        return n

    held = trade.astep("hold", hold)

    @troth.saga(name="interrupted")
    def saga(n: int) -> int:
        spin("in the function")
        return int(step(n) + store(n) + held.wait(n))

    caught: list[BaseException] = []

    def call() -> None:
        try:
            saga.options(gid="i")(7)
        except BaseException as error:
            caught.append(error)

    stock.plain(lambda db: db.execute("CREATE TABLE stored (n int)"))
    with troth:
        thread = threading.Thread(target=call)
        thread.start()
        assert inside.wait(30)
        interrupt(thread)
        thread.join(30)
        assert [type(error) for error in caught] == [KeyboardInterrupt]
        gate.set()
        assert troth.attach("i").result(timeout=30) == 21
        assert stock.plain(lambda db: db.execute("SELECT n FROM stored").fetchall()) == [(7,)]


def test_a_function_left_by_systemexit_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the node's own threads and tasks nothing but an Exception decides: the run is repeated after a pause."""
    monkeypatch.setattr(limits, "RETRY_INTERVAL", 0.01)
    trade = Trade()
    runs: list[str] = []

    @trade.troth.saga(name="leaving")
    def saga() -> int:
        runs.append("sync")
        value = int(trade.buy(1))
        if runs.count("sync") < 3:
            raise SystemExit("not now")
        return value

    @trade.troth.saga(name="aleaving")
    async def asaga() -> int:
        runs.append("async")
        value = int(await trade.abuy(1))
        if runs.count("async") < 3:
            raise asyncio.CancelledError
        return value

    with trade.troth:
        assert trade.troth.start(saga).result(timeout=30) == 10
        assert trade.troth.start(asaga).result(timeout=30) == 10
    assert runs.count("sync") == runs.count("async") == 3
    assert trade.did("buy") == trade.did("abuy") == [1]
