"""A Celery app whose tasks buy in the market that tests of processes share."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from tests.processes import market
from troth.integrations.celery import SagaTask, connect

BROKER = os.environ["MARKET_BROKER"]
app = Celery("market", broker=BROKER, backend=BROKER)
app.conf.update(
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    result_expires=600,
)
connect(market.troth)


@app.task(base=SagaTask)
def buy(gid: str, n: int) -> list[Any]:
    """Buy, and say what became of it."""
    outcome = market.buy.options(gid=gid).run(n)
    return [str(outcome.state), outcome.result]


@app.task(base=SagaTask)
def begin(gid: str, n: int) -> str:
    """Begin to buy."""
    return market.abuy.options(gid=gid).wait.start(n).gid
