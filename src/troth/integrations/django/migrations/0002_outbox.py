"""The outbox's tables, for databases that were migrated before there was one."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from troth.integrations.django.operations import CreateOutbox


class Migration(migrations.Migration):
    """``troth_outbox`` and what belongs to it."""

    dependencies: ClassVar[list[tuple[str, str]]] = [("troth", "0001_barrier")]
    operations: ClassVar[list[CreateOutbox]] = [CreateOutbox()]
