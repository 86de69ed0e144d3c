"""The gateway: orders come in over HTTP, are looked at, placed, and answered as soon as they are decided."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse

from examples.shop.checkout import Order, begin, troth
from examples.shop.precheck import Precheck, Rejected, Unreachable
from troth import GidConflict, NotAccepted, UnknownTransaction

PATIENCE = 20.0
"""Seconds that a customer is kept waiting for the decision."""
SAID = {
    "trying": "being placed", "confirming": "accepted", "confirmed": "accepted", "cancelling": "cancelled",
    "cancelled": "cancelled", "failed": "being looked into",
}  # fmt: skip
"""What a customer is told about a transaction's state."""


@asynccontextmanager
async def life(app: FastAPI) -> AsyncIterator[None]:
    """While the gateway is up its node drives what it, or a gateway that was killed, has begun."""
    async with troth, Precheck() as precheck:
        app.state.precheck = precheck
        yield


app = FastAPI(title="gateway", lifespan=life)


@app.post("/orders")
async def place(order: Order, idempotency_key: Annotated[str, Header()]) -> JSONResponse:
    """Place an order; the same again, with the same key, is the same order.

    201 accepted, 409 cancelled, 422 rejected (nothing was begun), 202 not decided yet, 503 try again.
    """
    if idempotency_key != order.id:
        raise HTTPException(422, "Idempotency-Key must be the order's id")
    try:
        if not await begun(order.gid):
            await app.state.precheck.look_at(order)
        handle = await begin(order)
        outcome = await handle.aio.wait("decided", timeout=PATIENCE)
    except Rejected as no:
        return answer(422, order.id, "rejected", str(no))
    except GidConflict:
        return answer(422, order.id, "rejected", f"another order has the id {order.id}")
    except (Unreachable, NotAccepted) as later:
        return answer(503, order.id, "not placed", str(later), {"Retry-After": "1"})
    except TimeoutError:
        return answer(202, order.id, "being placed", "")
    said = SAID[outcome.state]
    return answer({"accepted": 201, "cancelled": 409}.get(said, 202), order.id, said, outcome.reason)


@app.get("/orders/{order_id}")
async def status(order_id: str) -> dict[str, Any]:
    """How an order is doing: for the customer, and for whoever wants to know exactly (``state``)."""
    try:
        found = await troth.aio.get(f"order-{order_id}")
    except UnknownTransaction:
        raise HTTPException(404, f"no order {order_id} was placed") from None
    return {"order": order_id, "status": SAID[found.state], "reason": found.reason, "state": found.state}


async def begun(gid: str) -> bool:
    """Is it placed already? Then what its pre-check would say now doesn't matter."""
    try:
        await troth.aio.get(gid)
    except UnknownTransaction:
        return False
    return True


def answer(code: int, order_id: str, said: str, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """What the customer gets."""
    where = {"Location": f"/orders/{order_id}"}
    return JSONResponse({"order": order_id, "status": said, "reason": reason}, code, {**where, **(headers or {})})
