"""What can go wrong, and who decides when: chance (`Swarm`), a script (`Script`), or nobody any more (`quiet`).

Swarm testing (Groce et al., *Swarm Testing*, ISSTA 2012): each seed first draws which faults exist at all and how
strong, for many bugs need one fault often and another never.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from troth.testing.simulation.chance import WHOLE, Chance, key_of, mix


class Site(StrEnum):
    """Where a fault can strike."""

    COMMIT = "commit"
    """A node's batch is on its way into the store."""
    STORE = "store"
    """Any other word with the store."""
    SEND = "send"
    """A request leaves a node."""
    SERVE = "serve"
    """A request has come to a participant."""
    REPLY = "reply"
    """A reply leaves a participant."""
    HEAR = "hear"
    """A reply has come to a node."""
    CLIENT = "client"
    """A client asks for a transaction."""
    REGISTER = "register"
    """An initiator, or a try, registers a branch."""
    STRAY = "stray"
    """A try has come to a participant."""
    ADOPT = "adopt"
    """A node takes rows over."""
    SWEEP = "sweep"
    """A node looks around."""


class Fault(NamedTuple):
    """One kind of fault.

    :param rate: how often it strikes at its site where it exists, of the order of; a seed draws its own.
    :param scripted: the exhaustive walk tries it at each of its sites.
    """

    name: str
    site: Site
    rate: float
    scripted: bool = True


FAULTS: Final = (
    Fault("store_error", Site.COMMIT, 0.03),
    Fault("store_applied", Site.COMMIT, 0.03),
    Fault("store_lost", Site.COMMIT, 0.03),
    Fault("store_running", Site.COMMIT, 0.03),
    Fault("store_outage", Site.COMMIT, 0.006, False),
    Fault("store_poison", Site.COMMIT, 0.004, False),
    Fault("crash_before_commit", Site.COMMIT, 0.008),
    Fault("crash_after_commit", Site.COMMIT, 0.008),
    Fault("pause_at_commit", Site.COMMIT, 0.006),
    Fault("store_busy", Site.STORE, 0.05, False),
    Fault("adopt_unanswered", Site.ADOPT, 0.1),
    Fault("lose_request", Site.SEND, 0.03),
    Fault("late_request", Site.SEND, 0.03),
    Fault("duplicate_request", Site.SEND, 0.06),
    Fault("late_copy", Site.SEND, 0.04),
    Fault("connection_refused", Site.SEND, 0.04),
    Fault("crash_before_send", Site.SEND, 0.006),
    Fault("crash_after_send", Site.SEND, 0.01),
    Fault("pause_after_send", Site.SEND, 0.006),
    Fault("participant_down", Site.SERVE, 0.015),
    Fault("crash_after_effect", Site.SERVE, 0.03),
    Fault("slow", Site.SERVE, 0.02),
    Fault("ongoing", Site.SERVE, 0.05),
    Fault("handler_error", Site.SERVE, 0.05),
    Fault("wrong_answer", Site.SERVE, 0.02, False),
    Fault("stuck", Site.SERVE, 0.002, False),
    Fault("lose_reply", Site.REPLY, 0.03),
    Fault("late_reply", Site.REPLY, 0.02),
    Fault("crash_on_reply", Site.HEAR, 0.016),
    Fault("pause_on_reply", Site.HEAR, 0.006),
    Fault("lose_registration", Site.REGISTER, 0.04),
    Fault("late_registration", Site.REGISTER, 0.05),
    Fault("repeat_registration", Site.REGISTER, 0.08),
    Fault("stray_confirm", Site.STRAY, 0.03),
    Fault("client_repeats", Site.CLIENT, 0.15, False),
    Fault("client_loses_answer", Site.CLIENT, 0.05, False),
    Fault("other_content", Site.CLIENT, 0.02, False),
    Fault("all_down", Site.SWEEP, 0.0006, False),
    Fault("deploy", Site.SWEEP, 0.006, False),
    Fault("code_missing", Site.SWEEP, 0.005, False),
)
BY_NAME: Final = {fault.name: fault for fault in FAULTS}
LATE: Final = frozenset(
    {
        "late_request",
        "duplicate_request",
        "late_copy",
        "slow",
        "late_reply",
        "late_registration",
        "pause_at_commit",
        "pause_after_send",
        "pause_on_reply",
        "all_down",
        "store_running",
        "store_outage",
        "stuck",
    }
)
"""Faults that let a call land after its caller has gone on: bare branches are not promised to stand these."""


class Faults:
    """Decides at each opportunity whether something goes wrong there.

    :ivar happened: how often each fault struck.
    :ivar quiet: nothing goes wrong any more (the liveness phase).
    """

    def __init__(self) -> None:
        self.happened: Counter[str] = Counter()
        self.quiet = False

    def at(self, site: Site, key: int) -> str:
        """The fault that strikes at this opportunity, or ""."""
        name = "" if self.quiet else self.choose(site, key)
        if name:
            self.happened[name] += 1
        return name

    def choose(self, site: Site, key: int) -> str:
        """Decide. Overridden."""
        return ""

    def exists(self, name: str) -> bool:
        """May this fault strike in this run?"""
        return False


class Swarm(Faults):
    """Chance decides.

    :param off: faults switched off; the other choices of the seed stay as they are.
    """

    def __init__(self, chance: Chance, off: Iterable[str] = ()) -> None:
        super().__init__()
        self.seed = chance.seed
        self.menu: dict[Site, list[tuple[str, int, int]]] = {site: [] for site in Site}
        self.rates: dict[str, float] = {}
        self._nth: dict[tuple[str, int], int] = {}
        left_out = frozenset(off)
        strength = 0.4 + 1.4 * chance.fraction("swarm strength")
        share = 0.25 + 0.65 * chance.fraction("swarm share")
        for fault in FAULTS:
            drawn = chance.happens(share, "swarm has", key_of(fault.name))
            rate = fault.rate * strength * (0.3 + 1.7 * chance.fraction("swarm rate", key_of(fault.name)))
            if drawn and fault.name not in left_out:
                self.rates[fault.name] = rate
                self.menu[fault.site].append((fault.name, key_of(fault.name), int(min(rate, 0.9) * WHOLE)))

    def choose(self, site: Site, key: int) -> str:
        """Each fault of the site throws its own dice; the first that falls strikes."""
        menu = self.menu[site]
        if not menu:
            return ""
        at = (site.value, key)
        nth = self._nth.get(at, 0)
        self._nth[at] = nth + 1
        for name, salt, limit in menu:
            if mix(self.seed, salt, key, nth) < limit:
                return name
        return ""

    def exists(self, name: str) -> bool:
        """Did the seed draw it?"""
        return name in self.rates


class Script(Faults):
    """Strikes at the numbered opportunities that it is given, and notes all that there were.

    :param strikes: opportunity number (from 0) -> fault.
    :ivar sites: the site of each opportunity so far.
    """

    def __init__(self, strikes: dict[int, str] | None = None) -> None:
        super().__init__()
        self.strikes = strikes or {}
        self.sites: list[Site] = []

    def choose(self, site: Site, key: int) -> str:
        """What the script says."""
        number = len(self.sites)
        self.sites.append(site)
        name = self.strikes.get(number, "")
        return name if name and BY_NAME[name].site is site else ""

    def exists(self, name: str) -> bool:
        """Is it in the script?"""
        return name in self.strikes.values()
