"""The barrier's tables."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from troth.integrations.django.operations import CreateBarrier


class Migration(migrations.Migration):
    """``troth_barrier`` and ``troth_barrier_mark``."""

    initial = True
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations: ClassVar[list[CreateBarrier]] = [CreateBarrier()]
