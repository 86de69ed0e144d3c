"""The SQLite store: a log in one file, shared by all processes of a machine."""

from troth.adapters.stores.sqlite.store import SqliteStore
from troth.adapters.stores.sqlite.viewer import SqliteViewer

__all__ = ["SqliteStore", "SqliteViewer"]
