"""Flask: errors become answers, and the steps are mounted.

```
app = Flask(__name__)
init_app(app, troth, mount="/troth")
```

The first saga of a worker process starts its node, recovery included, and its exit drains it: there is nothing to enter,
and ``gunicorn --preload`` is as good as any other way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask, Response
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from troth.app.troth import Troth
from troth.integrations.problems import ANSWERED, problem_of
from troth.ports.errors import ConfigurationError

if TYPE_CHECKING:
    from troth.app.serving.serves import Secret


def init_app(app: Flask, troth: Troth, *, mount: str | None = None, secret: Secret = None, batch: bool = True) -> None:
    """Answer requests that end in an error of troth's as `troth.integrations.problems` says; serve steps below a path.

    :param mount: where to serve them, e.g. ``/troth``; None: nowhere.
    :param secret: as `troth.Troth.wsgi_routes` takes it.
    :param batch: the same.
    :raises ConfigurationError: if the mount is no path below the root.
    """
    for kind in ANSWERED:
        app.register_error_handler(kind, answered)
    app.extensions["troth"] = troth
    if mount is None:
        return
    path = mount.rstrip("/")
    if not path.startswith("/"):
        raise ConfigurationError(f"mount={mount!r}: give a path below the root, e.g. mount='/troth'")
    routes: Any = troth.wsgi_routes(secret=secret, batch=batch)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {path: routes})  # type: ignore[method-assign]


def answered(error: Any) -> Response:
    """The error handler.

    :raises TrothError: the error itself, if it is a fault of the program.
    """
    answer = problem_of(error)
    if answer is None:
        raise error
    return Response(answer.body, answer.status, answer.headers)
