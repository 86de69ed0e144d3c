"""Every bound in the system, with its unit and its reason."""

from __future__ import annotations

from typing import Final

GID_LENGTH: Final = 128
"""Characters of a gid: fits every store's index and an HTTP query."""
NAME_LENGTH: Final = 128
"""Characters of a step, saga or database name."""
BRANCH_ID_LENGTH: Final = 256
"""Characters of a branch id: a name, its place and its occurrence."""
BRANCHES: Final = 1_000
"""Branches of one transaction: above that it is a batch job, not a transaction."""
PAYLOAD_BYTES: Final = 1024 * 1024
"""Bytes of one encoded input, argument set or result: stored with every write that carries it."""
REASON_LENGTH: Final = 1_000
"""Characters kept of a reason: it is shown, stored and sent."""
RESULT_HEADER_BYTES: Final = 2_048
"""Bytes of a result that is sent along in a header: servers allow 4 to 8 KiB of them in all."""
ANSWER_BYTES: Final = 64 * 1024
"""Bytes read of one HTTP answer; a longer one is unknown and its connection is closed."""
BATCH_CALLS: Final = 512
"""Calls of one batched HTTP request."""
BATCH_BYTES: Final = 4 * 1024 * 1024
"""Bytes of one batched HTTP request: read whole, since its signature is over all of it."""
PLACE_DEPTH: Final = 16
"""Nested gathers in one saga."""
TRAIL_LENGTH: Final = 24
"""Attempts kept per branch for the timeline; the first and the newest stay."""
CHUNK_BRANCHES: Final = 32
"""Branches stored per chunk: a write rewrites only the chunks it changed."""
TRIES_AT_ONCE: Final = 16
"""Tries of one declared transaction under way: the rest need not be made, nor cancelled, once one says no."""

COORDINATOR_TIMEOUT: Final = 30.0
"""Seconds; bounds the undecided part of a transaction."""
PARTICIPANT_TIMEOUT: Final = 10.0
"""Seconds; bounds one call."""
MAX_RETRY_COUNT: Final = 3
"""Calls of one step before the decision, the first included."""
RETRY_INTERVAL: Final = 1.0
"""Seconds; the first pause between two calls."""
RETRY_CAP: Final = 30.0
"""Seconds; the longest pause before attempts are used up."""
RETRIES_AFTER_DECISION: Final = 10
"""Calls after the decision before a person is asked."""
SLOW_RETRY: Final = 60.0
"""Seconds between the slow retries of a failed transaction."""
ONGOING_INTERVAL: Final = 1.0
"""Seconds until an ongoing branch is asked again, unless it says."""
ONGOING_CAP: Final = 300.0
"""Seconds; the longest pause an ongoing branch may ask for."""
CLAIMS_WITHOUT_PROGRESS: Final = 10
"""Adoptions without a new durable record before a transaction is parked as poison."""

CHECK_BACK_AFTER: Final = 6.0
"""Seconds from a half message to its first check-back: longer than most local transactions."""
CHECK_BACK_EVERY: Final = 60.0
"""Seconds; the longest pause between two check-backs."""
CHECK_BACK_TIMES: Final = 15
"""Check-backs before a person is asked: about 12 minutes of them. They go on slowly after that."""
CHECK_BACK_PATIENCE: Final = 5.0
"""Seconds that one check-back waits for a local transaction that is still running."""
CHECK_BACKS_AT_ONCE: Final = 4
"""Check-backs of one database at a time: slow producers can't use up its connections."""
CHECK_BACK_LOOK: Final = 3_600.0
"""Seconds after which a message is looked at whose check-back never answered."""
DELAY: Final = 366 * 86_400.0
"""Seconds that a message may be delayed."""

BATCH_WRITES: Final = 512
"""Writes of one store transaction: bounds the time a commit holds the turnstile."""
RIDE_SECONDS: Final = 0.05
"""Seconds a riding write may wait for a forced one to carry it."""
ACCEPT_SECONDS: Final = 5.0
"""Seconds a new transaction waits for a log that can't be written before its caller is told."""
QUEUE_WRITES: Final = 200_000
"""Writes waiting in the journal before new transactions are refused."""
IN_FLIGHT: Final = 120_000
"""Transactions driven by one node at a time; more are refused before anything is written."""
CALLS_IN_FLIGHT: Final = 4_096
"""Calls of one node at a time, over all destinations."""
CALLS_PER_DESTINATION: Final = 1_024
"""Calls of one node at a time to one destination (a step, or a service)."""
CONNECTIONS_PER_DESTINATION: Final = 256
"""HTTP calls of one node at a time to one destination (scheme, host and port), each on a connection of its own."""
CONNECT_SHARE: Final = 0.9
"""Of a call's time, what connecting may take: what is not connected by then was surely not sent."""
IDLE_SECONDS: Final = 1.5
"""Seconds an idle connection is kept: less than common servers do (2 and more), so that none is used that is being closed."""
BATCHED_CALLS: Final = 128
"""Calls that this side puts into one request, at most."""
BATCHED_BYTES: Final = 1024 * 1024
"""Bytes of such a request; a call that is larger goes alone."""
BATCH_HOLD: Final = 0.001
"""Seconds that calls gather, at most, while the request before them has no answer yet."""
CIRCUIT_FAILURES: Final = 5
"""Calls in a row that got no answer before a destination counts as down."""
CIRCUIT_SECONDS: Final = 1.0
"""Seconds until a destination that is down is tried again, at first; doubled each time."""
CIRCUIT_CAP: Final = 30.0
"""Seconds; the longest such pause."""
OUTAGE_SECONDS: Final = 600.0
"""Seconds that a destination may be down before waiting for it uses up attempts after all, so that a person is asked."""
SYNC_THREADS: Final = 32
"""Threads for sync steps, per node."""
SYNC_THREADS_PER_STEP: Final = 16
"""Threads one sync step may hold: a hung one can't use up the pool."""
SAGA_THREADS: Final = 64
"""Threads for sync sagas without a caller (recovered or started), per node."""
SAGA_THREADS_PER_SAGA: Final = 32
"""Threads one sync saga's runs may hold."""
ADOPT_PAGE: Final = 500
"""Transactions adopted per page at take-over."""
DRAIN_SECONDS: Final = 30.0
"""Seconds a graceful stop waits for transactions in flight."""
SWEEP_SECONDS: Final = 0.1
"""Seconds between two looks at the mailbox and the other nodes' locks."""
RETENTION_DAYS: Final = 7
"""Days a finished transaction stays readable."""
PURGE_PAGE: Final = 2_000
"""Finished transactions moved to the ledger at a time."""
LEDGER_DAYS: Final = 90
"""Days its ledger row stays: the published idempotency window."""

KEY_LENGTH: Final = 255
"""Characters of a key of `troth.once`, and of a lock's: what an Idempotency-Key header commonly may have."""
ONCE_DAYS: Final = 90
"""Days an answer of `troth.once` is remembered, at least, unless it says."""
LOCK_SECONDS: Final = 30.0
"""Seconds after which a lock whose holder is gone is free."""

DELAY_SECONDS: Final = 90 * 86_400
"""Seconds that a message may be delayed: a thing for later than that belongs into a calendar of yours."""
