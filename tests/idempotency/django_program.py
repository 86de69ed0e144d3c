"""A state machine and a fence on Django's own connections: ``django_program.py sqlite-file``; prints what happened."""

from __future__ import annotations

import sys

import django
from django.conf import settings
from django.db import connections, transaction

from troth import StateMachine, TrothError, fence

STATES = StateMachine("orders", column="state", initial="a", transitions={"a": ["b"], "b": []})


def said(call: object) -> str:
    """The name of what is raised, or the value."""
    try:
        return str(call())  # type: ignore[operator]
    except TrothError as error:
        return type(error).__name__


def main(file: str) -> None:
    """Everything on the default alias."""
    settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": file}})
    django.setup()
    db = connections["default"]
    with db.cursor() as cursor:
        cursor.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT)")
        cursor.execute("INSERT INTO orders VALUES (1, 'a')")
    print(*(said(lambda to=to: STATES.move(db, 1, to=to)) for to in ("b", "b", "a")))
    print(said(lambda: fence(db, "k", 3)))
    with transaction.atomic():
        print(said(lambda: fence(db, "k", 3)), said(lambda: fence(db, "k", 2)))
    db.close()


if __name__ == "__main__":
    main(sys.argv[1])
