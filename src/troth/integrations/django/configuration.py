"""The settings: ``TROTH``, a dict of what the Troth object takes, or only ``TROTH_STORE``."""

from __future__ import annotations

import inspect
import os
import sys
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.conf import settings

from troth.app.troth import Troth
from troth.ports.errors import ConfigurationError

OWN: Final = frozenset({"in_atomic", "test_store", "secret", "batch"})
"""Settings that only Django's glue has."""
EXAMPLE: Final = "TROTH = {\"store\": f\"sqlite:///{BASE_DIR / 'troth-log.db'}\"}"


@dataclass(frozen=True)
class Configuration:
    """What the settings say.

    :ivar store: the log's URL; "" if nothing names one.
    :ivar in_atomic: what a saga begun inside ``transaction.atomic`` is: ``refuse``, an error; ``allow``, begun apart from
        the block.
    :ivar test_store: the log's URL under Django's test runner.
    :ivar secret: what requests of other services are signed with; see `Troth.routes`.
    :ivar batch: let other services send many calls in one request.
    :ivar more: the rest, for the Troth object.
    """

    store: str
    in_atomic: Literal["refuse", "allow"]
    test_store: str
    secret: Any
    batch: bool
    more: dict[str, Any]


def known() -> list[str]:
    """The names that ``TROTH`` may have."""
    taken = [name for name, parameter in inspect.signature(Troth).parameters.items() if name != "self"]
    return sorted({*taken, *OWN})


def read() -> Configuration:
    """The settings, checked.

    :raises ConfigurationError: naming the setting and what would do.
    """
    given: Any = getattr(settings, "TROTH", {})
    if not isinstance(given, dict):
        raise ConfigurationError(f"the setting TROTH is a {type(given).__name__}, not a dict. Write {EXAMPLE}")
    strange = sorted(set(given) - set(known()))
    if strange:
        raise ConfigurationError(f"the setting TROTH has no {', '.join(map(repr, strange))}. It may have {', '.join(known())}.")
    in_atomic = given.get("in_atomic", "refuse")
    if in_atomic not in ("refuse", "allow"):
        raise ConfigurationError(f'TROTH["in_atomic"] is {in_atomic!r}: say "refuse" or "allow"')
    store = given.get("store") or getattr(settings, "TROTH_STORE", "") or os.environ.get("TROTH_STORE", "")
    more = {name: value for name, value in given.items() if name not in OWN and name != "store"}
    return Configuration(
        store=str(store),
        in_atomic=in_atomic,
        test_store=str(given.get("test_store", "memory://")),
        secret=given.get("secret"),
        batch=bool(given.get("batch", True)),
        more=more,
    )


def no_store() -> ConfigurationError:
    """Processes of one project start in different directories, so no path is guessed."""
    return ConfigurationError(f"no setting says where troth's log is. Write {EXAMPLE}, or set TROTH_STORE.")


def under_test() -> bool:
    """Is Django's test environment set up (by its runner, or by pytest-django)?"""
    module = sys.modules.get("django.test.utils")
    return module is not None and hasattr(module._TestState, "saved_data")
