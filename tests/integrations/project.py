"""The example's Django project, as a test runs it: in processes of their own, with files of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "examples" / "django_shop"
FILL = "from shop.models import Item; Item.objects.create(sku='apple', price=10, left={left})"
FACTS = (
    "import json; from shop.models import *; from troth.integrations.django import troth;"
    "print('facts', json.dumps({'left': Item.objects.get().left,"
    " 'orders': [[o.number, o.quantity, o.state] for o in Order.objects.order_by('number')],"
    " 'paid': [[p.order_id, p.amount] for p in Payment.objects.order_by('order_id')],"
    " 'log': {view.gid: view.state for view in troth.find(limit=10_000)}}))"
)
"""Prints what the database and the log hold."""


class Shop:
    """A copy of the shop's data: its database and its log."""

    def __init__(self, home: Path, **env: str) -> None:
        self.home = home
        self.env = env

    def environment(self, **more: str) -> dict[str, str]:
        """What its processes need."""
        path = os.pathsep.join([str(PROJECT), str(ROOT), str(ROOT / "src")])
        return {
            **os.environ, "SHOP_HOME": str(self.home), "PYTHONPATH": path, "PYTHONWARNINGS": "error",
            "DJANGO_SETTINGS_MODULE": "project.settings", **self.env, **more,
        }  # fmt: skip

    def command(self, *words: str) -> list[str]:
        """A ``manage.py`` command."""
        return [sys.executable, str(PROJECT / "manage.py"), *words]

    def manage(self, *words: str, code: int = 0, **more: str) -> str:
        """Run a ``manage.py`` command to its end; what it printed."""
        ran = subprocess.run(
            self.command(*words), env=self.environment(**more), cwd=self.home,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert ran.returncode == code, f"{words}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout + ran.stderr

    def prepared(self, left: int) -> None:
        """Tables, and apples at ten coins each."""
        migrate = "from django.core.management import call_command; call_command('migrate', verbosity=0)"
        self.manage("shell", "-c", f"{migrate}; {FILL.format(left=left)}")

    def facts(self) -> dict[str, Any]:
        """What the database and the log hold."""
        return self.said(self.manage("shell", "-c", FACTS))

    def said(self, text: str) -> dict[str, Any]:
        """What `FACTS` printed."""
        line = next(each for each in text.splitlines() if each.startswith("facts "))
        found: dict[str, Any] = json.loads(line.removeprefix("facts "))
        return found
