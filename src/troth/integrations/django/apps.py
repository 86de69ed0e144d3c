"""The app: finds every installed app's ``sagas.py``, checks the settings, has the barrier's migration."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class TrothConfig(AppConfig):
    """``troth.integrations.django`` in ``INSTALLED_APPS``."""

    name = "troth.integrations.django"
    label = "troth"
    verbose_name = "troth"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import what is called ``sagas`` in each app, so that every process knows the code of every transaction."""
        from troth.integrations.django.checks import check_definitions, check_settings

        checks.register(check_settings)
        checks.register(check_definitions)
        autodiscover_modules("sagas")
        post_migrate.connect(_emptied, dispatch_uid="troth")


def _emptied(**_: Any) -> None:
    """A ``TransactionTestCase`` has emptied the tables: its log is forgotten with them."""
    from troth.integrations.django import troth
    from troth.integrations.django.configuration import under_test

    if under_test() and troth.runtime.node is not None:
        troth.forget_log()
