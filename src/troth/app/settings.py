"""The settings of a `Troth` object, checked when it is made."""

from __future__ import annotations

import math

from troth.ports.errors import ConfigurationError


def check_settings(outside: object, drain: object, no_retry: object) -> None:
    """See `troth.Troth`.

    :raises ConfigurationError: naming the setting, what was given, and what would do.
    """
    if outside not in ("call", "refuse"):
        raise ConfigurationError(f"outside={outside!r}: say 'call' or 'refuse'")
    if isinstance(drain, bool) or not isinstance(drain, (int, float)) or not (math.isfinite(drain) and drain >= 0):
        raise ConfigurationError(f"drain={drain!r}: give seconds, 0 or more")
    kinds = no_retry if isinstance(no_retry, tuple) else (None,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        raise ConfigurationError(f"no_retry={no_retry!r}: give exception classes, e.g. no_retry=(TypeError, KeyError)")
