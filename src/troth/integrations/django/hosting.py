"""Steps and sagas' functions as Django code: on a test's connections where they are lent, and leaving none open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from troth.adapters.databases.django_threads import KEPT
from troth.app.threads import SyncHost
from troth.core.reply import Reply
from troth.core.words import Op
from troth.ports.caller import Call

if TYPE_CHECKING:
    from troth.engine.participants import Participant
    from troth.integrations.django.lending import Lending


class DjangoParticipant:
    """A participant whose sync ops may use the ORM; see `troth.engine.participants.Participant`."""

    def __init__(self, inner: Participant, lending: Lending) -> None:
        self.inner = inner
        self.lending = lending
        self.name = inner.name
        self.timeout = inner.timeout
        self.timeout_micros = inner.timeout_micros
        self.destination = inner.destination
        self.most = inner.most

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def is_async(self, op: Op) -> bool:
        """As the participant itself."""
        return self.inner.is_async(op)

    def call(self, call: Call) -> Reply:
        """Do a sync op; what it opened in a thread of troth's is closed as ``CONN_MAX_AGE`` says."""
        with self.lending.borrowed():
            KEPT.take_up()
            try:
                return self.inner.call(call)
            finally:
                KEPT.put_down()

    async def acall(self, call: Call) -> Reply:
        """Do an async op."""
        return await self.inner.acall(call)


class DjangoSyncHost(SyncHost):
    """A sync saga's function, which may use the ORM too."""

    def run(self, slot: Any) -> None:
        """The function, from its beginning to its end."""
        KEPT.take_up()
        try:
            super().run(slot)
        finally:
            KEPT.put_down()
