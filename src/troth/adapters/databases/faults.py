"""Looking for the exception behind an exception."""

from __future__ import annotations


def caused_by(error: BaseException, *kinds: type[BaseException]) -> bool:
    """True if the error, or one that it was raised for or while handling, is one of the kinds."""
    link: BaseException | None = error
    while link is not None and not isinstance(link, kinds):
        link = link.__cause__ or link.__context__
    return link is not None
