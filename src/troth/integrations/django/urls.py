"""``path("troth/", include("troth.integrations.django.urls"))``: the project's steps and TCC classes, for other services.

The protocol is docs/participants.md. With ``TROTH = {"secret": "whsec_…"}`` only signed requests are answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

from troth.wire.http import NDJSON

if TYPE_CHECKING:
    from troth.app.serving.wsgi import WsgiRoutes


@cache
def routes() -> WsgiRoutes:
    """The WSGI application that answers."""
    from troth.integrations.django import troth

    settings = troth.configuration
    return troth.wsgi_routes(secret=settings.secret, batch=settings.batch)


def serve(request: HttpRequest, path: str) -> HttpResponseBase:
    """The view: what comes to ``path`` below the mount."""
    place = "/" + path
    environ = {**request.META, "PATH_INFO": place.encode().decode("latin-1"), "wsgi.input": request}
    begun: list[Any] = []
    parts = routes()(environ, lambda status, headers, *_: begun.extend([status, headers]))
    status, headers = begun
    code, fields = int(status.partition(" ")[0]), dict(headers)
    if fields.get("content-type") != NDJSON:
        return HttpResponse(b"".join(parts), status=code, headers=fields)
    streamed: Any = awaited(parts) if isinstance(request, ASGIRequest) else parts
    return StreamingHttpResponse(streamed, status=code, headers=fields)


async def awaited(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """A batch's answers on an event loop: waiting for the next one holds up nobody else."""
    left: Iterator[bytes] = iter(parts)
    following = sync_to_async(lambda: next(left, None), thread_sensitive=False)
    while (part := await following()) is not None:
        yield part


view: Any = csrf_exempt(serve)
for alias in connections:  # each step is a local transaction of its own, with ATOMIC_REQUESTS too
    view = transaction.non_atomic_requests(using=alias)(view)

urlpatterns = [re_path(r"^(?P<path>.*)$", view, name="troth")]
