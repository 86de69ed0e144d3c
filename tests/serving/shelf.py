"""A Flask application with steps, for gunicorn; its files are in the working directory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from flask import Flask

from tests.serving.stock import fill
from troth import Refused, Troth
from troth.integrations.flask import init_app

troth = Troth("sqlite:///log.db")
shelf = troth.database("shelf", "sqlite:///shelf.db")
shelf.plain(fill)
app = Flask(__name__)
init_app(app, troth, mount="/troth")


@troth.step(on=shelf, name="stock.reserve")
def reserve(db: Any, sku: str, n: int) -> int:
    row = db.execute("UPDATE stock SET n = n - ? WHERE sku = ? AND n >= ? RETURNING n", (n, sku, n)).fetchone()
    if row is None:
        raise Refused(f"{sku} is sold out")
    found: int = row[0]
    return found


@reserve.compensate
def release(db: Any, sku: str, n: int) -> None:
    db.execute("UPDATE stock SET n = n + ? WHERE sku = ?", (n, sku))


@troth.step(guarded=True, name="stock.weigh", compensate=None)
async def weigh(sku: str) -> int:
    return len(sku)


@troth.step(guarded=True, name="await_file", compensate=None)
def await_file(path: str) -> str:
    while not Path(path).exists():
        time.sleep(0.01)  # simulates a slow step
    return "went"


@troth.step(guarded=True, name="areserve", compensate=None)
async def areserve(n: int) -> int:
    return n
