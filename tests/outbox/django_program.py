"""The outbox on Django's own connections: ``django_program.py sqlite-file``; runs its TestCase, prints what happened."""

from __future__ import annotations

import sys
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connections, transaction

from troth import TrothError, outbox


def said(call: Any) -> str:
    """The name of what is raised, or what was written."""
    try:
        call()
    except TrothError as error:
        return type(error).__name__
    return str([each.content for each in outbox.waiting(connections["default"])])


def rolled_back(savepoint: bool) -> None:
    """Two messages, the second in a block that is left by an exception."""
    with transaction.atomic():
        outbox.send(connections["default"], "order", "kept" if savepoint else "ghost", key="k")
        try:
            with transaction.atomic(savepoint=savepoint):
                outbox.send(connections["default"], "order", "ghost", key="k")
                raise ValueError
        except ValueError:
            pass


def main(file: str) -> None:
    """Everything on the default alias."""
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": file}},
        INSTALLED_APPS=["troth.integrations.django"], TROTH={"store": "memory://"},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )  # fmt: skip
    django.setup()
    call_command("migrate", verbosity=0)
    db = connections["default"]
    print(said(lambda: outbox.send(db, "order", 1)))
    print(said(lambda: rolled_back(True)), said(lambda: rolled_back(False)))
    from django.test import TestCase
    from django.test.utils import get_runner

    class Tests(TestCase):
        """A test's transaction is never committed: the message is seen in it, and gone with it."""

        def test_one(self) -> None:
            with transaction.atomic():
                outbox.send(connections["default"], "order", "in a test")
            with self.subTest("seen"):
                assert [each.content for each in outbox.waiting(connections["default"])] == ["in a test"]

        def test_two(self) -> None:
            self.test_one()

    runner = get_runner(settings)(verbosity=0)
    suite = runner.test_loader.loadTestsFromTestCase(Tests)
    runner.setup_test_environment()
    old = runner.setup_databases()
    print(runner.run_suite(suite).wasSuccessful(), said(lambda: None))
    runner.teardown_databases(old)
    call_command("migrate", "troth", "0001", verbosity=0)
    print("troth_outbox" in db.introspection.table_names(), "troth_barrier" in db.introspection.table_names())
    db.close()


if __name__ == "__main__":
    main(sys.argv[1])
