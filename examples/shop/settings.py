"""Where the shop keeps its files, finds its services, and what its services sign calls with: all from the environment."""

from __future__ import annotations

import os
from pathlib import Path

HOME = Path(os.environ.get("SHOP_HOME", ".")).absolute()
"""The folder of the databases and of the log."""
SECRET = os.environ.get("SHOP_SECRET")
"""``whsec_…``: services do only what is signed with it. None: calls are not signed."""
PORTS = {"gateway": 8000, "orders": 8001, "stock": 8002, "payment": 8003, "logistics": 8004, "notification": 8005}
"""Where each listens unless it is told otherwise."""
SERVICES = tuple(name for name in PORTS if name != "gateway")


def database(name: str) -> str:
    """The URL of a service's own database."""
    return f"sqlite:///{HOME / name}.db"


def url(service: str) -> str:
    """Where a service is."""
    return os.environ.get(f"SHOP_{service.upper()}", f"http://127.0.0.1:{PORTS[service]}")
