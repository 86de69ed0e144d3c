"""What the programs beside it share: a Troth of the shape users have, and the definitions of the README."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from troth.app.graph import DefinesGraphs, Graph
from troth.app.host import Options, Spelling, Verb
from troth.app.saga import DefinesSagas, Saga
from troth.app.step import DefinesSteps, Step
from troth.app.tcc import DefinesTcc, Tcc
from troth.app.tcc_form import TccForm
from troth.app.tcc_running import RunsTcc
from troth.ports.database import Database


class Troth(DefinesSteps, DefinesSagas, DefinesGraphs, DefinesTcc, RunsTcc):
    no_retry: tuple[type[BaseException], ...] = ()

    def register_step(self, step: Step[Any, Any]) -> None: ...
    def register_saga(self, saga: Saga[Any, Any]) -> None: ...
    def register_graph(self, graph: Graph[Any, Any]) -> None: ...
    def invoke_step(
        self, step: Step[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], spelling: Spelling
    ) -> Any: ...
    def invoke_saga(
        self,
        definition: Saga[Any, Any] | Graph[Any, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        verb: Verb,
        spelling: Spelling,
        options: Options,
    ) -> Any: ...


def database() -> Database:
    raise SystemExit


@dataclass
class Order:
    id: str
    sku: str
    n: int
    amount: Decimal


@dataclass
class Receipt:
    text: str


troth = Troth()
stock = database()


@troth.step(on=stock, timeout=3, refuse_on=(KeyError,))
def reserve(db: Any, sku: str, n: int = 1) -> int:
    return n


@reserve.compensate
def release(db: Any, sku: str, n: int = 1) -> None: ...


@reserve.check
def reserved(db: Any, sku: str, n: int = 1) -> int:
    return n


@troth.step
def create(order: Order) -> str:
    return order.id


@troth.step(guarded=True, compensate=None)
async def charge(order_id: str, amount: Decimal) -> Receipt:
    return Receipt(order_id)


@troth.step(on=stock)
async def areserve(db: Any, sku: str, *, rush: bool = False) -> int:
    return 1


@troth.saga(gid=lambda order: f"order-{order.id}")
def place_order(order: Order) -> Receipt:
    return Receipt(str(reserve(order.sku, order.n)))


@troth.saga
async def aplace_order(order: Order, *, rush: bool = False) -> Receipt:
    await areserve(order.sku, rush=rush)
    return await charge(order.id, order.amount)


@dataclass
class Hold:
    sku: str
    n: int


@troth.tcc(on=stock, timeout=3, refuse_on=KeyError)
class Stock(Tcc):
    def try_(self, db: Any, sku: str, n: int = 1) -> Hold:
        return Hold(sku, n)

    def confirm(self, db: Any, hold: Hold) -> None: ...
    def cancel(self, db: Any, hold: Hold | None) -> None: ...


@troth.tcc(on=stock)
class AStock(Tcc):
    async def try_(self, db: Any, sku: str, *, n: int = 1) -> Hold:
        return Hold(sku, n)

    async def confirm(self, db: Any, hold: Hold) -> None: ...
    async def cancel(self, db: Any, hold: Hold | None) -> None: ...


@troth.tcc(guarded=True, name="card")
class Card(Tcc):
    def try_(self, number: str, amount: Decimal) -> str:
        return number

    def confirm(self, hold: str) -> None: ...
    def cancel(self, hold: str | None) -> None: ...


@troth.tcc(guarded=True)
class ACard:
    async def try_(self, number: str, amount: Decimal) -> str:
        return number

    async def confirm(self, hold: str) -> None: ...
    async def cancel(self, hold: str | None) -> None: ...


def remote() -> TccForm:
    raise SystemExit
