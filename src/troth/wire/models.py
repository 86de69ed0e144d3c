"""pydantic models on the wire, for programs that use them; pydantic is never imported unless the program did.

Models travel by field name and without computed fields, so that what was dumped can always be validated again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from troth.wire.shapes import is_model

PLACE = "@"
"""Stands before and after the path inside a model, in the text of the error that msgspec passes on."""


def dump(value: Any) -> Any:
    """msgspec's ``enc_hook``: a model as its JSON text.

    :raises TypeError: for everything else.
    """
    if is_model(type(value)):
        return msgspec.Raw(value.model_dump_json(round_trip=True, by_alias=False, warnings=False).encode())
    raise TypeError(f"a value of type {type(value).__qualname__} can't be encoded")


def load(kind: type, value: Any) -> Any:
    """msgspec's ``dec_hook``: a model from its decoded JSON.

    :raises ValueError: if it doesn't validate; the text begins with the path inside of the model.
    """
    import pydantic  # its models are in use, so it is loaded

    model: Any = kind
    try:
        return model.model_validate_json(msgspec.json.encode(value), by_name=True, by_alias=False)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise ValueError(f"{PLACE}{path}{PLACE}{first['msg']}") from error
