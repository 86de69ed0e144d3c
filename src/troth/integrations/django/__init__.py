"""troth inside a Django project.

```python
INSTALLED_APPS = [..., "troth.integrations.django"]
TROTH = {"store": f"sqlite:///{BASE_DIR / 'troth-log.db'}"}
```

Then `from troth.integrations.django import troth` in an app's ``sagas.py``, which is found by itself, as ``admin.py`` is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from troth.integrations.django.embedded import DjangoTroth

    troth: DjangoTroth

__all__ = ["DjangoTroth", "troth"]


def __getattr__(name: str) -> Any:
    """``troth`` is made from the settings when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'troth.integrations.django' has no attribute {name!r}")
    from troth.integrations.django import embedded

    value = embedded.DjangoTroth if name == "DjangoTroth" else embedded.from_settings()
    globals()[name] = value
    return value
