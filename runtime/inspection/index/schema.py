"""The tables of an index."""

SCHEMA = """
CREATE TABLE meta (version INTEGER NOT NULL);
CREATE TABLE logs (
    number INTEGER PRIMARY KEY, name TEXT, read_bytes INTEGER, next_seq INTEGER, head TEXT, agent TEXT,
    written_ns INTEGER
);
CREATE TABLE names (number INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE message (
    number INTEGER PRIMARY KEY, at INTEGER, sender INTEGER, recipient INTEGER, performative INTEGER,
    protocol INTEGER, conversation INTEGER, type INTEGER, session INTEGER, round INTEGER, slot INTEGER,
    log INTEGER, offset INTEGER, length INTEGER, seq INTEGER, received_log INTEGER, received_seq INTEGER,
    received_at INTEGER, from_receipt INTEGER, id TEXT, re TEXT
);
CREATE TABLE late (sender INTEGER, id TEXT, log INTEGER, seq INTEGER, at INTEGER, sent INTEGER, note TEXT);
CREATE INDEX late_of ON late (sender, id);
CREATE TABLE event (at INTEGER, log INTEGER, offset INTEGER, length INTEGER);
CREATE TABLE passes (first INTEGER PRIMARY KEY, next INTEGER);   -- of each, messages are in the order of time
CREATE TABLE blocks (number INTEGER PRIMARY KEY, first INTEGER); -- text of messages, see ngrams
CREATE TABLE places (sender TEXT, id TEXT, session INTEGER, round INTEGER, slot INTEGER);
"""
