"""A function that happens once per key, in the user's own database: what it asks of the barrier, and what is answered.

The key's row is a barrier row (op ``deliver``), written in the same local transaction as the effect, and inserted *first*:
of two calls at once the second waits in its insert until the first has ended, then gets the first one's answer. So there
is no moment between a check and a set. Rows are kept for a published time, then purged; see `Keys.call`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, NoReturn

from msgspec import Raw

from troth.core import barrier as rules
from troth.core import limits
from troth.core.barrier import Verdict
from troth.core.reply import Reply
from troth.core.words import Op, Word
from troth.participant.barrier import Conversation
from troth.participant.database import Exceptions, Guarded
from troth.participant.numbers import Numbers
from troth.ports.caller import Call
from troth.ports.database import AsyncEffect, Effect
from troth.ports.errors import LimitExceeded, NotAccepted, Ongoing, PayloadError, Refused
from troth.ports.idempotency import KeyConflict, KeyExpired, KeyInDoubt

ASKED: Final = 3
"""Times that a lost answer to COMMIT is asked for, by the same call again."""
ASK_AGAIN: Final = 1.0
"""Seconds after which somebody whose key is in use is told to come again."""
EXPIRED: Final = rules.answer(Verdict.EVIDENCE_PURGED, Op.DELIVER, None)


class Keys:
    """The keys of one function.

    :param name: the function's stored name: keys are its own.
    :param now: microseconds since the Unix epoch.
    :param keep: seconds that an answer is remembered, at least.
    :param timeout: seconds a call waits for a connection, and for another call with the same key.
    :param numbers: which numbers the keys are; None: any text.
    """

    def __init__(
        self,
        name: str,
        database: Guarded,
        now: Callable[[], int],
        *,
        keep: float,
        timeout: float,
        numbers: Numbers | None = None,
        refuse_on: Exceptions = (),
    ) -> None:
        self.name = name
        self.database = database
        self._now = now
        self._keep = int(keep * 1e6)
        self._timeout = timeout
        self._numbers = numbers
        self._refuse_on = refuse_on
        self._log = "once:" + hashlib.blake2b(name.encode(), digest_size=12).hexdigest()

    def checked(self, key: object) -> str:
        """The key, as the row has it.

        :raises PayloadError: if it is none, or was mistyped.
        :raises LimitExceeded: if it is too long.
        """
        if isinstance(key, bool) or not isinstance(key, (str, int)) or not str(key):
            raise PayloadError(f"{self.name}: key", f"{key!r} is no key", "Make it a text that isn't empty, or an int")
        text = str(key)
        if len(text) > limits.KEY_LENGTH:
            raise LimitExceeded("KEY_LENGTH", len(text), limits.KEY_LENGTH, "Use a shorter key, or a hash of it")
        return text if self._numbers is None else self._numbers.check(text)

    def call(self, key: str, payload: Raw) -> Call:
        """The call of a key.

        Its begin is when the number was drawn, and with other keys now. Rows begun longer than `keep` ago are purged as
        calls go by. So an old number whose row is gone is refused (`KeyExpired`); an old key of another kind is new again.
        """
        now = self._now()
        begun = now if self._numbers is None else self._numbers.drawn_at(key)
        uid = hashlib.blake2b(self.name.encode() + b"\x00" + key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        branch = f"0/{self.name}#1"
        return Call(
            uid, key, branch, Op.DELIVER, self.name, 1, payload, None, begun, now - self._keep, self._log, self._timeout
        )

    def run(self, call: Call, effect: Effect) -> Raw:
        """The effect's encoded result, from now or from the first time.

        :raises Refused: if it was refused, now or the first time.
        :raises Ongoing: if another call with the key hasn't ended, or the function said so.
        :raises KeyConflict: if the key was used with another payload.
        :raises KeyExpired: if the number is older than what is remembered.
        :raises KeyInDoubt: if nobody can say.
        :raises NotAccepted: if the database was too busy; nothing was done.
        """
        doubt: Reply | None = None
        for _ in range(ASKED):
            conversation = self.database.conversation(call, self._refuse_on)
            reply = self.database.converse(conversation, effect)
            if not self._unanswered(conversation, reply):
                return self._answer(call, conversation, reply, doubt)
            doubt = reply
        return self._in_doubt(call, doubt)

    async def arun(self, call: Call, effect: AsyncEffect) -> Raw:
        """`run` in the other colour."""
        doubt: Reply | None = None
        for _ in range(ASKED):
            conversation = self.database.conversation(call, self._refuse_on)
            reply = await self.database.aconverse(conversation, effect)
            if not self._unanswered(conversation, reply):
                return self._answer(call, conversation, reply, doubt)
            doubt = reply
        return self._in_doubt(call, doubt)

    def _unanswered(self, conversation: Conversation, reply: Reply) -> bool:
        """COMMIT got no answer: the same call again finds the row, or waits for the lost COMMIT, or does it."""
        return reply.word is Word.UNKNOWN and conversation.committing

    def _answer(self, call: Call, conversation: Conversation, reply: Reply, doubt: Reply | None) -> Raw:
        """The reply as Python knows answers.

        :param doubt: an earlier reply, if that call's COMMIT got no answer.
        """
        key, cause = call.gid, reply.cause
        if reply.word is Word.DONE:
            return reply.result
        if reply.word is Word.REFUSED:
            raise Refused(reply.reason) from cause
        if reply.word is Word.ONGOING:
            raise Ongoing(reply.after)
        if reply.word is Word.CONFLICT:
            raise KeyConflict(self.name, key)
        if reply == EXPIRED:
            raise KeyExpired(self.name, key)
        if doubt is not None and not conversation.called:  # it didn't come so far as to see what became of the first
            self._in_doubt(call, doubt)
        faults = self.database.driver.faults
        if isinstance(cause, Exception) and not conversation.called and faults.locked_out(cause):
            raise Ongoing(ASK_AGAIN) from cause
        if isinstance(cause, Exception) and faults.transient(cause):
            raise NotAccepted(f"{self.database.name} is busy: {reply.reason}", ASK_AGAIN) from cause
        if cause is None or reply.reason.startswith(rules.ALERT):
            self._in_doubt(call, reply)
        raise cause

    def _in_doubt(self, call: Call, reply: Reply | None) -> NoReturn:
        reason = (reply.reason if reply else "").removeprefix(rules.ALERT)
        raise KeyInDoubt(self.name, call.gid, reason if reason.endswith(".") else f"{reason}.") from (
            reply.cause if reply else None
        )

