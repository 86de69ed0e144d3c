"""Ending the connections of async libraries without waiting, also when their event loop has ended or was the parent's."""

from __future__ import annotations

import contextlib
import os
from typing import Any


def end(raw: Any) -> None:
    """Close a library's own connection now; the server rolls back.

    :param raw: an asyncpg, asyncmy or psycopg connection.
    """
    if hasattr(raw, "pgconn"):
        raw._closed = True
        raw.pgconn.finish()
        return
    transport = getattr(raw, "_transport", None)
    if transport is None:
        return
    try:
        for name in ("really_close", "terminate", "close"):
            if hasattr(raw, name):
                getattr(raw, name)()
                break
        transport.abort()
    except RuntimeError:  # its loop has ended: nobody else will close the socket
        bury(transport)


def bury(transport: Any) -> None:
    """Close the socket of a transport whose event loop has ended."""
    wrapped = transport.get_extra_info("socket")
    socket = getattr(wrapped, "_sock", wrapped)
    if hasattr(transport, "_sock"):
        transport._sock = None  # else asyncio would warn of it when it is freed
    with contextlib.suppress(OSError, TypeError):  # uvloop's has no close: it closed them with the loop
        socket.close()


def drop(raw: Any) -> None:
    """In a forked child: close only the inherited file descriptor; the session at its other end is the parent's."""
    with contextlib.suppress(Exception):  # it was closed already
        if hasattr(raw, "pgconn"):
            os.close(raw.pgconn.socket)
            return
        wrapped = raw._transport.get_extra_info("socket")
        socket = getattr(wrapped, "_sock", None)
        os.close(socket.detach() if socket is not None else wrapped.fileno())
