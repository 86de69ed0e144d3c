"""The tables of the outbox, in the words of each database. Times are microseconds since 1970, in UTC.

``troth_outbox``, one row a message:

| column | what it is |
|---|---|
| id | its number: order within a key |
| business_id | what the message is about, for people |
| message_content | JSON |
| destination | the topic |
| status | pending, delayed, blocked, dead, sent |
| retry_count | times that publishing failed |
| create_time, send_time | written; confirmed by the broker |
| message_id | 32 hexadecimal digits, the same however often it is published |
| message_key | messages of one key keep their order; "" has none |
| slot | of the key: which lock, which relay |
| next_time | not before |
| reason | why publishing failed last |
| headers | a JSON object of texts |

``troth_outbox_block`` names the keys that a dead letter blocks; ``troth_outbox_note`` holds this outbox's own name and its
living relays; ``troth_outbox_slot``, on MariaDB and MySQL only, is what keys are locked by.
"""

from __future__ import annotations

from typing import Final

from troth.ports.database import Dialect

SQLITE: Final = (
    """CREATE TABLE IF NOT EXISTS troth_outbox (id INTEGER PRIMARY KEY AUTOINCREMENT,
    business_id TEXT NOT NULL, message_content TEXT NOT NULL, destination TEXT NOT NULL, status TEXT NOT NULL,
    retry_count INTEGER NOT NULL DEFAULT 0, create_time INTEGER NOT NULL, send_time INTEGER, message_id TEXT NOT NULL,
    message_key TEXT NOT NULL, slot INTEGER NOT NULL, next_time INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '', headers TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS troth_outbox_open ON troth_outbox (status, id) WHERE status <> 'sent'",
    """CREATE TABLE IF NOT EXISTS troth_outbox_block (message_key TEXT NOT NULL, id INTEGER NOT NULL,
    PRIMARY KEY (message_key, id)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS troth_outbox_note (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL,
    until INTEGER NOT NULL) WITHOUT ROWID""",
)
POSTGRES: Final = (
    "SELECT pg_advisory_xact_lock(8390880603146837)",  # as the barrier's tables: two at once would fail
    """CREATE TABLE IF NOT EXISTS troth_outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    business_id text NOT NULL, message_content text NOT NULL, destination text NOT NULL, status text NOT NULL,
    retry_count integer NOT NULL DEFAULT 0, create_time bigint NOT NULL, send_time bigint, message_id text NOT NULL,
    message_key text COLLATE "C" NOT NULL, slot integer NOT NULL, next_time bigint NOT NULL DEFAULT 0,
    reason text NOT NULL DEFAULT '', headers text NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS troth_outbox_open ON troth_outbox (status, id) WHERE status <> 'sent'",
    """CREATE TABLE IF NOT EXISTS troth_outbox_block (message_key text COLLATE "C" NOT NULL, id bigint NOT NULL,
    PRIMARY KEY (message_key, id))""",
    """CREATE TABLE IF NOT EXISTS troth_outbox_note (name text COLLATE "C" PRIMARY KEY, value text NOT NULL,
    until bigint NOT NULL)""",
)
_END: Final = " ENGINE=InnoDB ROW_FORMAT=DYNAMIC"
_ASCII: Final = "CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
_TEXT: Final = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"
MYSQL: Final = (
    f"""CREATE TABLE IF NOT EXISTS troth_outbox (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    business_id VARCHAR(255) {_TEXT}, message_content LONGTEXT {_TEXT}, destination VARCHAR(255) {_TEXT},
    status VARCHAR(16) {_ASCII}, retry_count INT NOT NULL DEFAULT 0, create_time BIGINT NOT NULL, send_time BIGINT,
    message_id CHAR(32) {_ASCII}, message_key VARCHAR(255) {_TEXT}, slot INT NOT NULL, next_time BIGINT NOT NULL DEFAULT 0,
    reason VARCHAR(1000) {_TEXT} DEFAULT '', headers MEDIUMTEXT {_TEXT}, KEY troth_outbox_open (status, id)){_END}""",
    f"""CREATE TABLE IF NOT EXISTS troth_outbox_block (message_key VARCHAR(255) {_TEXT}, id BIGINT NOT NULL,
    PRIMARY KEY (message_key, id)){_END}""",
    f"""CREATE TABLE IF NOT EXISTS troth_outbox_note (name VARCHAR(64) {_ASCII} PRIMARY KEY, value VARCHAR(64) {_ASCII},
    until BIGINT NOT NULL){_END}""",
    f"CREATE TABLE IF NOT EXISTS troth_outbox_slot (slot INT NOT NULL PRIMARY KEY){_END}",
)
TABLES: Final = {"sqlite": SQLITE, "postgresql": POSTGRES, "mysql": MYSQL}
"""By the family of database."""

NOW: Final = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)",
    "mysql": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))",
}
"""The database's own clock: one for all who write and all who read."""


def family_of(dialect: Dialect) -> str:
    """``sqlite``, ``postgresql`` or ``mysql``."""
    if dialect.mysql:
        return "mysql"
    return "postgresql" if dialect.skip else "sqlite"
