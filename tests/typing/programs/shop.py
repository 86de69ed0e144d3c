"""What the programs beside it share: a Troth of the shape users have, and the definitions of the README."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from troth.app.graph import DefinesGraphs, Graph
from troth.app.host import Options, Spelling, Verb
from troth.app.saga import DefinesSagas, Saga
from troth.app.step import DefinesSteps, Step
from troth.ports.database import Database


class Troth(DefinesSteps, DefinesSagas, DefinesGraphs):
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
