"""What a person asks for while a retry is under way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.patience import until
from troth import NeedsAttention, Refused, Troth, UnknownTransaction
from troth.core import limits


def test_a_resolve_that_comes_during_a_retry_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction whose retry fails again is closed by the resolve that came meanwhile; nothing that was asked is lost."""
    monkeypatch.setattr(limits, "RETRIES_AFTER_DECISION", 2)
    troth = Troth(f"sqlite:///{tmp_path}/log.db")

    @troth.step(name="book", guarded=True, interval=0.01)
    def book() -> None:
        """Always works."""

    @book.compensate
    def unbook() -> None:
        raise ConnectionError("the hotel does not answer")

    @troth.step(name="pay", guarded=True, compensate=None)
    def pay() -> None:
        raise Refused("no money")

    @troth.saga(name="trip")
    def trip() -> None:
        book()
        pay()

    with troth:
        with pytest.raises(NeedsAttention):
            trip.options(gid="trip-1")()
        troth.retry("trip-1")
        troth.resolve("trip-1", reason="cancelled by telephone")
        until(lambda: troth.get("trip-1").finished is not None)
        assert troth.get("trip-1").state == "failed"
        with pytest.raises(UnknownTransaction):
            troth.resolve("trip-2", reason="never began")
