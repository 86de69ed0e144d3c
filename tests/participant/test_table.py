"""The barrier's verdict table, cell by cell, and what is written and answered from it."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec import Raw

from troth.core import barrier
from troth.core.barrier import ALERT, Keep, Kind, Outcome, Row, Verdict
from troth.core.barrier_table import table
from troth.core.reply import Reply
from troth.core.words import Op, Word

DONE, REFUSED, ONGOING, SEALED = (Row(outcome, result=Raw(b"7"), reason="why") for outcome in Outcome)
DOS = (Op.ACTION, Op.TRY, Op.PREPARE, Op.DELIVER)
UNDOS = (Op.COMPENSATE, Op.CANCEL, Op.ROLLBACK)
CONFIRMS = (Op.CONFIRM, Op.COMMIT)


def test_every_cell_has_one_verdict_and_every_verdict_a_cell() -> None:
    """The table is total, has no cell twice, and no verdict that nothing leads to."""
    cells = list(table())
    keys = Counter(cell[:-1] for cell in cells)
    assert max(keys.values()) == 1
    assert len(cells) == 5 * 2 * 2 + 2 * 5**3 * 2 + 2 * 5 * 2
    assert {cell.verdict for cell in cells} == set(Verdict)


def test_every_op_has_a_kind_and_every_end_an_origin() -> None:
    """Nothing that can be called is unknown to the barrier."""
    assert set(barrier.KINDS) == set(Op)
    for op in (*UNDOS, *CONFIRMS, Op.SEAL, Op.CHECK):
        assert barrier.KINDS[barrier.origin_of(op)] is Kind.DO
    assert barrier.origin_of(Op.SEAL, Op.TRY) is Op.TRY
    for op in CONFIRMS:
        undo = barrier.opposite_of(op)
        assert undo is not None
        assert barrier.opposite_of(undo) is op
    assert barrier.opposite_of(Op.COMPENSATE) is None


@pytest.mark.parametrize(
    ("own", "same", "expected"),
    [
        (None, True, Verdict.RUN),
        (DONE, True, Verdict.ANSWER_STORED),
        (REFUSED, True, Verdict.ANSWER_STORED),
        (DONE, False, Verdict.CONFLICT),
        (REFUSED, False, Verdict.CONFLICT),
        (ONGOING, True, Verdict.RUN_AGAIN),
        (ONGOING, False, Verdict.CONFLICT),
        (SEALED, True, Verdict.HANGING),
        (SEALED, False, Verdict.HANGING),
    ],
)
@pytest.mark.parametrize("op", DOS)
def test_a_do_is_judged_by_its_own_row(op: Op, own: Row | None, same: bool, expected: Verdict) -> None:
    """The first runs, duplicates get the first answer, one after its undo hangs and is refused."""
    assert barrier.verdict(op, own, same_payload=same) is expected


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, Verdict.EMPTY),
        (SEALED, Verdict.NOTHING_TO_UNDO),
        (REFUSED, Verdict.NOTHING_TO_UNDO),
        (DONE, Verdict.RUN_ON_ORIGIN),
        (ONGOING, Verdict.RUN_ON_ORIGIN),
    ],
)
@pytest.mark.parametrize("op", UNDOS)
def test_a_first_undo_is_judged_by_its_origin(op: Op, origin: Row | None, expected: Verdict) -> None:
    """It runs only on an effect, and makes a do that never ran impossible."""
    assert barrier.verdict(op, None, origin) is expected


@pytest.mark.parametrize("origin", [None, DONE, REFUSED, ONGOING, SEALED])
@pytest.mark.parametrize("op", CONFIRMS)
def test_a_first_confirm_needs_its_try(op: Op, origin: Row | None) -> None:
    """Without a done try there is nothing to confirm, which alerts."""
    expected = Verdict.RUN_ON_ORIGIN if origin is DONE else Verdict.NOTHING_TO_CONFIRM
    judged = barrier.verdict(op, None, origin)
    assert judged is expected
    if not judged.runs:
        assert barrier.answer(judged, op, None, origin).reason.startswith(ALERT)


@pytest.mark.parametrize("origin", [None, DONE, REFUSED, ONGOING, SEALED])
@pytest.mark.parametrize("op", [*UNDOS, *CONFIRMS])
def test_an_end_is_repeated_by_its_own_row(op: Op, origin: Row | None) -> None:
    """Done stays done whatever the origin says now; ongoing is run again; it never gives way to its opposite."""
    assert barrier.verdict(op, DONE, origin) is Verdict.ANSWER_STORED
    assert barrier.verdict(op, ONGOING, origin) is Verdict.RUN_AGAIN
    for own in (None, DONE, ONGOING):
        judged = barrier.verdict(op, own, origin or DONE, DONE)
        assert judged is Verdict.OPPOSITE_WON
        reply = barrier.answer(judged, op, own)
        assert (reply.word, reply.reason.startswith(ALERT)) == (Word.REFUSED, True)


def test_seal_and_check_quote_the_origin() -> None:
    """With no row a seal makes it impossible; an ongoing one is neither done nor sealed."""
    expected = {
        Op.SEAL: [Word.SEALED, Word.DONE, Word.REFUSED, Word.ONGOING, Word.SEALED],
        Op.CHECK: [Word.ONGOING, Word.DONE, Word.REFUSED, Word.ONGOING, Word.REFUSED],
    }
    for op, words in expected.items():
        for origin, word in zip([None, DONE, REFUSED, ONGOING, SEALED], words, strict=True):
            judged = barrier.verdict(op, None, origin)
            assert judged.seals is (op is Op.SEAL and origin is None)
            assert barrier.answer(judged, op, None, origin).word is word


@pytest.mark.parametrize("op", list(Op))
def test_an_old_call_without_a_row_is_unknown(op: Op) -> None:
    """Its row may have been purged: nothing is run or written, whatever the op."""
    judged = barrier.verdict(op, None, None, older=True)
    assert judged is Verdict.EVIDENCE_PURGED
    assert not judged.runs
    assert not judged.seals
    assert barrier.answer(judged, op, None).word is Word.UNKNOWN
    assert barrier.predates(4, 5)
    assert not barrier.predates(5, 5)


def test_a_log_purges_its_own_rows_below_its_mark() -> None:
    """Never another log's, and never by age."""
    row = Row(Outcome.DONE, begun=4, log="a")
    assert barrier.purgeable(row, "a", 5)
    assert not barrier.purgeable(row, "b", 5)
    assert not barrier.purgeable(row, "a", 4)


def test_a_refusal_is_kept_for_a_do_only() -> None:
    """One that had begun stays ongoing and is unknown; an undo or confirm that refuses leaves no row."""
    no = Reply(Word.REFUSED, reason="sold out")
    assert barrier.settle(Op.TRY, None, None, no) == (Keep.ROW, no, Outcome.REFUSED, False)
    begun = barrier.settle(Op.TRY, ONGOING, None, no)
    assert (begun.keep, begun.reply.word, begun.outcome) == (Keep.NOTHING, Word.UNKNOWN, None)
    for op in (*UNDOS, *CONFIRMS):
        assert barrier.settle(op, None, DONE, no) == (Keep.NOTHING, no, None, False)


def test_done_and_ongoing_keep_the_effect_and_an_undo_closes_an_ongoing_origin() -> None:
    """Otherwise a late do would run again after its undo."""
    for word, outcome in ((Word.DONE, Outcome.DONE), (Word.ONGOING, Outcome.ONGOING)):
        heard = Reply(word)
        assert barrier.settle(Op.ACTION, None, None, heard) == (Keep.EFFECT, heard, outcome, False)
        assert barrier.settle(Op.CANCEL, None, DONE, heard) == (Keep.EFFECT, heard, outcome, False)
        assert barrier.settle(Op.CANCEL, None, ONGOING, heard) == (Keep.EFFECT, heard, outcome, True)


def test_an_error_keeps_nothing_and_is_not_done_only_if_nothing_had_begun() -> None:
    """What an earlier call began is still there."""
    heard = Reply(Word.NOT_DONE, reason="x")
    assert barrier.settle(Op.ACTION, None, None, heard) == (Keep.NOTHING, heard, None, False)
    assert barrier.settle(Op.ACTION, ONGOING, None, heard).reply.word is Word.UNKNOWN


def test_the_handler_of_an_end_is_given_the_origins_result() -> None:
    """The row's own, where it is done; else what came with the call."""
    told = Raw(b'"told"')
    assert barrier.stored_result(Op.ACTION, None, told) is None
    assert barrier.stored_result(Op.CANCEL, DONE, told) == DONE.result
    assert barrier.stored_result(Op.CANCEL, ONGOING, told) is told
    assert barrier.stored_result(Op.CANCEL, SEALED, None) is None


def test_a_verdict_that_runs_has_no_answer_of_its_own() -> None:
    """Asking the table for one is a mistake."""
    with pytest.raises(ValueError, match="handler"):
        barrier.answer(Verdict.RUN, Op.ACTION, None)
    with pytest.raises(ValueError, match="quotes"):
        barrier.answer(Verdict.ANSWER_STORED, Op.ACTION, None)
