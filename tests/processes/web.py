"""A WSGI application that buys in each request. Under ``gunicorn --preload`` the master has used it before it forks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from tests.processes import market
from tests.processes.trader import FORMS

if os.environ.get("MARKET_MASTER_BUYS"):
    market.buy.options(gid="master-1").run(1)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """``/form/gid/n``: the outcome, the worker's pid and its node's number, as JSON."""
    _, form, gid, n = environ["PATH_INFO"].split("/")
    outcome = market.troth.run(FORMS[form], int(n), gid=gid)
    node = market.troth.runtime.node
    said = [os.getpid(), node.number if node is not None else 0, str(outcome.state), outcome.result]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(said).encode()]
