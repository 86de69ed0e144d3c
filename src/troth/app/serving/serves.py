"""The part of the Troth object that serves its steps to others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from troth.participant.serving import Desk
from troth.ports.errors import ConfigurationError
from troth.wire.signing import BadSecret, Signer

if TYPE_CHECKING:
    from troth.app.serving.asgi import AsgiRoutes
    from troth.app.serving.threads import Threads
    from troth.app.serving.wsgi import WsgiRoutes

Secret = str | Sequence[str] | None


class ServingHost(Protocol):
    """The Troth object, as its serving part sees it."""

    steps: Any
    tcc_classes: Any
    databases: Any
    no_retry: tuple[type[BaseException], ...]
    runtime: Any


class Serves:
    """Gives the steps and TCC classes of a process to sagas of other services. It starts no node and opens no log."""

    _serving_threads: Threads | None = None

    def routes(self: ServingHost, *, secret: Secret = None, batch: bool = True) -> AsgiRoutes:
        """An ASGI 3 application that serves the guarded steps and the TCC classes of this object, also those defined later.

        Mount it: ``app.mount("/troth", troth.routes())``. Below the mount are ``steps/<name>``, ``tcc/<name>``, ``batch`` and,
        to be looked at, a description of what is served. The protocol is docs/participants.md.

        :param secret: ``whsec_…``, or several while one is being changed; then only signed requests are answered. Without one
            anybody who reaches the port is answered.
        :param batch: offer callers to send many calls in one request.
        :raises ConfigurationError: if a secret is none.
        """
        from troth.app.serving.asgi import AsgiRoutes

        threads = threads_of(self)
        databases = self.databases

        async def shut() -> None:
            for database in databases.values():
                await database.aclose()
            threads.stop()

        return AsgiRoutes(desk_of(self, secret, batch), threads, shut)

    def wsgi_routes(self: ServingHost, *, secret: Secret = None, batch: bool = True) -> WsgiRoutes:
        """`routes` as a WSGI application: for Flask, Django, gunicorn. Async steps are run on a loop in a thread of its own.

        :param secret: as `routes` takes it.
        :param batch: as `routes` takes it. A batch holds one of the server's threads until its slowest call has ended.
        :raises ConfigurationError: if a secret is none.
        """
        from troth.app.serving.wsgi import WsgiRoutes

        made = WsgiRoutes(desk_of(self, secret, batch), threads_of(self))
        self.runtime.disowned.append(made.abandon)
        return made


def desk_of(host: ServingHost, secret: Secret, batch: bool) -> Desk:
    """The desk of a Troth object."""
    from troth.app.serving.catalogue import TrothCatalogue

    try:
        signer = None if secret is None else Signer(secret)
    except BadSecret as error:
        raise ConfigurationError(f"secret: {error}") from error
    return Desk(TrothCatalogue(host), signer, batch=batch)


def threads_of(host: Any) -> Threads:
    """The threads of a Troth object: all of its routes share them."""
    from troth.app.serving.threads import Threads

    if host._serving_threads is None:
        host._serving_threads = Threads()
        host.runtime.disowned.append(host._serving_threads.abandon)
    threads: Threads = host._serving_threads
    return threads
