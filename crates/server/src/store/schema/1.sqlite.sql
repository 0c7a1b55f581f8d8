-- Rows are found by number where there is one: a table clustered by a random key would be
-- as deep as its rows are long. Small rows that are only ever found by key lie in their index.
CREATE TABLE system (id INTEGER PRIMARY KEY, server BLOB NOT NULL, sealed BLOB NOT NULL);
CREATE TABLE data_key (id INTEGER PRIMARY KEY, purpose INTEGER NOT NULL, master BLOB NOT NULL, sealed BLOB NOT NULL);
CREATE TABLE head (id INTEGER PRIMARY KEY, batch BLOB NOT NULL, epoch INTEGER NOT NULL, size INTEGER NOT NULL, time_ms INTEGER NOT NULL, next_account INTEGER NOT NULL, data_keys INTEGER NOT NULL, sealed BLOB NOT NULL);
CREATE TABLE writer (id BLOB PRIMARY KEY, batch BLOB NOT NULL, at_ms INTEGER NOT NULL);

CREATE TABLE account (no INTEGER PRIMARY KEY, user_id BLOB NOT NULL, name_tag BLOB NOT NULL, state INTEGER NOT NULL, made_ms INTEGER NOT NULL, version INTEGER NOT NULL, sealed BLOB NOT NULL);
CREATE UNIQUE INDEX account_tag ON account (name_tag) WHERE state > 0;
-- Eight of its random bytes find it; the row says whether it is the one.
CREATE INDEX account_user ON account (substr(user_id, 1, 8));
CREATE INDEX account_pending ON account (made_ms) WHERE state = 0;
CREATE TABLE chain (account INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE gone (account INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, sealed BLOB NOT NULL);

CREATE TABLE secret (account INTEGER NOT NULL, key_id BLOB NOT NULL, kind INTEGER NOT NULL, context INTEGER NOT NULL, revision INTEGER NOT NULL, version INTEGER NOT NULL, made_ms INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (account, key_id));

CREATE TABLE session (id BLOB PRIMARY KEY, account INTEGER NOT NULL, generation INTEGER NOT NULL, confirmed INTEGER NOT NULL, epoch INTEGER NOT NULL, login_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, requests INTEGER NOT NULL, sealed BLOB NOT NULL);
CREATE INDEX session_account ON session (account);
CREATE INDEX session_login ON session (login_ms);

CREATE TABLE guess (tag BLOB PRIMARY KEY, known INTEGER NOT NULL, last_ms INTEGER NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX guess_unknown ON guess (last_ms) WHERE known = 0;
CREATE TABLE pass (hash BLOB PRIMARY KEY, account INTEGER NOT NULL, made_ms INTEGER NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX pass_account ON pass (account);
CREATE INDEX pass_made ON pass (made_ms);
CREATE TABLE invitation (hash BLOB PRIMARY KEY, made_ms INTEGER NOT NULL, used INTEGER NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE leaf_index (account INTEGER NOT NULL, seq INTEGER NOT NULL, leaf INTEGER NOT NULL, PRIMARY KEY (account, seq)) WITHOUT ROWID;
CREATE TABLE block (first INTEGER PRIMARY KEY, leaves INTEGER NOT NULL, hashes BLOB NOT NULL, sealed BLOB NOT NULL);
CREATE TABLE tile (level INTEGER NOT NULL, idx INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, idx));
