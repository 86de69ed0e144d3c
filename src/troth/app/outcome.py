"""What became of a transaction, and a hold on one that goes on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, TypeVar

from troth.core.words import Fate, State

R_co = TypeVar("R_co", covariant=True)
Until = Literal["decided", "finished"]


@dataclass(frozen=True, slots=True)
class BranchOutcome:
    """What became of one branch.

    :param id: ``place/name#occurrence``.
    :param reason: why, in words, where it wasn't done.
    """

    id: str
    name: str
    fate: Fate
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R_co]):
    """What became of a whole transaction.

    :param state: ``confirmed``, ``cancelled`` or ``failed`` (needs a person); with ``until="decided"`` also
        ``confirming`` or ``cancelling``.
    :param result: the saga's result if it was confirmed, else None.
    :param reason: why it was cancelled or failed, in words.
    """

    gid: str
    state: State
    result: R_co | None = None
    reason: str = ""
    branches: tuple[BranchOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class TransactionView:
    """A transaction as the log holds it.

    :param reason: why it was cancelled or needs attention, in words.
    :param finished: when it ended, or None while it is open.
    :param waiting_for: names of the code that no live process has, or "".
    """

    gid: str
    definition: str
    state: State
    reason: str
    begun: datetime
    updated: datetime
    finished: datetime | None
    waiting_for: str
    branches: tuple[BranchOutcome, ...]


class AioHandle(ABC, Generic[R_co]):
    """The awaitable spellings of a `Handle`."""

    @property
    @abstractmethod
    def gid(self) -> str:
        """The transaction."""

    @abstractmethod
    async def result(self, timeout: float | None = None) -> R_co:
        """As `Handle.result`."""

    @abstractmethod
    async def wait(self, until: Until = "finished", timeout: float | None = None) -> Outcome[R_co]:
        """As `Handle.wait`."""


class Handle(ABC, Generic[R_co]):
    """A hold on one transaction, wherever it is driven."""

    @property
    @abstractmethod
    def gid(self) -> str:
        """The transaction."""

    @abstractmethod
    def result(self, timeout: float | None = None) -> R_co:
        """Wait for the end and return the saga's result.

        :param timeout: seconds to wait; None: as long as it takes.
        :raises Cancelled: if it was cancelled.
        :raises NeedsAttention: if it needs a person.
        :raises TimeoutError: if it goes on; it is not cancelled by that.
        """

    @abstractmethod
    def wait(self, until: Until = "finished", timeout: float | None = None) -> Outcome[R_co]:
        """Wait until it is decided or finished and say what became of it; a business no is not raised.

        :param timeout: seconds to wait; None: as long as it takes.
        :raises TimeoutError: if it goes on; it is not cancelled by that.
        """

    @property
    @abstractmethod
    def aio(self) -> AioHandle[R_co]:
        """The awaitable spellings."""
