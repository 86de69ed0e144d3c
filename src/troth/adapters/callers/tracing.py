"""Trace context that travels with a call: what OpenTelemetry, if the program uses it, has for the calling code."""

from __future__ import annotations

import sys


def trace_headers() -> dict[str, str]:
    """``traceparent`` and its like of the running code's span; nothing if the program traces nothing."""
    propagate = sys.modules.get("opentelemetry.propagate")
    if propagate is None:
        return NOTHING
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


NOTHING: dict[str, str] = {}
