"""What programs get with ``--json``: the same facts as the tables, whole, times in ISO 8601 and seconds."""

from __future__ import annotations

from typing import Any

import msgspec

from troth.cli.facts import Facts, is_open, open_of, real
from troth.cli.plain import SECOND, iso
from troth.core.state import Branch, Transaction


def summary(facts: Facts, now: int) -> dict[str, Any]:
    """One line of a list."""
    record, doc = facts.record, facts.doc
    return {
        "gid": record.gid,
        "pattern": record.pattern,
        "form": doc.form,
        "definition": record.definition,
        "state": record.state,
        "phase": str(doc.phase),
        "finished": facts.finished,
        "closed": doc.closed or None,
        "reason": doc.reason or doc.stuck or doc.doom or None,
        "step": doc.step or None,
        "begun": iso(record.begun),
        "updated": iso(record.updated),
        "ended": iso(record.finished),
        "age_seconds": seconds(now - record.begun),
        "took_seconds": seconds(facts.took(now)),
        "branches": len(real(doc)),
        "branches_open": len(open_of(doc)),
        "node": record.owner or None,
        "node_alive": facts.owned,
        "waits_for": facts.waits_for or None,
        "waiting_code": record.waiting or None,
    }


def whole(facts: Facts, now: int) -> dict[str, Any]:
    """All that the log knows of one transaction."""
    record, doc = facts.record, facts.doc
    return {
        **summary(facts, now),
        "uid": record.uid.hex(),
        "rev": record.rev,
        "claims": record.claims,
        "deadline": iso(doc.deadline) if not facts.finished else None,
        "input": decoded(doc.input),
        "result": decoded(doc.result),
        "resolving": doc.resolving or None,
        "branch_list": [branch_of(doc, branch) for branch in doc.branches],
    }


def branch_of(doc: Transaction, branch: Branch) -> dict[str, Any]:
    """One branch."""
    return {
        "id": branch.id,
        "step": branch.name,
        "fate": str(branch.fate),
        "open": is_open(doc, branch),
        "unknown": branch.unknown,
        "args": decoded(branch.args),
        "result": decoded(branch.result),
        "reason": branch.reason or None,
        "op": str(branch.op),
        "calling": branch.calling,
        "due": iso(branch.due),
        "stuck": branch.stuck,
        "attempts": [
            {"op": op, "at": iso(at), "took_seconds": seconds(took), "word": word}
            for op, at, took, word in branch.trail
        ],
    }


def decoded(raw: msgspec.Raw) -> Any:
    """An encoded value as JSON values."""
    return msgspec.json.decode(raw) if bytes(raw) else None


def seconds(micros: int) -> float:
    """Microseconds as seconds."""
    return round(micros / SECOND, 6)
