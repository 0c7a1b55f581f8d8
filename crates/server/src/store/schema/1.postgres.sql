-- Sealed bytes do not compress. Rows that change with each entry leave room on their page for
-- the next version, so that no index follows.
CREATE TABLE system (id bigint PRIMARY KEY, server bytea NOT NULL, sealed bytea NOT NULL);
CREATE TABLE data_key (id bigint PRIMARY KEY, purpose bigint NOT NULL, master bytea NOT NULL, sealed bytea NOT NULL);
CREATE TABLE head (id bigint PRIMARY KEY, batch bytea NOT NULL, epoch bigint NOT NULL, size bigint NOT NULL, time_ms bigint NOT NULL, next_account bigint NOT NULL, data_keys bigint NOT NULL, sealed bytea NOT NULL) WITH (fillfactor = 50);
CREATE TABLE writer (id bytea PRIMARY KEY, batch bytea NOT NULL, at_ms bigint NOT NULL) WITH (fillfactor = 50);

CREATE TABLE account (no bigint PRIMARY KEY, user_id bytea NOT NULL, name_tag bytea NOT NULL, state bigint NOT NULL, made_ms bigint NOT NULL, version bigint NOT NULL, sealed bytea NOT NULL);
CREATE UNIQUE INDEX account_tag ON account (name_tag) WHERE state > 0;
-- Eight of its random bytes find it; the row says whether it is the one.
CREATE INDEX account_user ON account (substring(user_id FROM 1 FOR 8));
CREATE INDEX account_pending ON account (made_ms) WHERE state = 0;
CREATE TABLE chain (account bigint PRIMARY KEY, sealed bytea NOT NULL) WITH (fillfactor = 90);
CREATE TABLE gone (account bigint PRIMARY KEY, at_ms bigint NOT NULL, sealed bytea NOT NULL);

CREATE TABLE secret (account bigint NOT NULL, key_id bytea NOT NULL, kind bigint NOT NULL, context bigint NOT NULL, revision bigint NOT NULL, version bigint NOT NULL, made_ms bigint NOT NULL, sealed bytea NOT NULL, PRIMARY KEY (account, key_id));

CREATE TABLE session (id bytea PRIMARY KEY, account bigint NOT NULL, generation bigint NOT NULL, confirmed bigint NOT NULL, epoch bigint NOT NULL, login_ms bigint NOT NULL, last_ms bigint NOT NULL, requests bigint NOT NULL, sealed bytea NOT NULL) WITH (fillfactor = 90);
CREATE INDEX session_account ON session (account);
CREATE INDEX session_login ON session (login_ms);

CREATE TABLE guess (tag bytea PRIMARY KEY, known bigint NOT NULL, last_ms bigint NOT NULL, sealed bytea NOT NULL);
CREATE INDEX guess_unknown ON guess (last_ms) WHERE known = 0;
CREATE TABLE pass (hash bytea PRIMARY KEY, account bigint NOT NULL, made_ms bigint NOT NULL, sealed bytea NOT NULL);
CREATE INDEX pass_account ON pass (account);
CREATE INDEX pass_made ON pass (made_ms);
CREATE TABLE invitation (hash bytea PRIMARY KEY, made_ms bigint NOT NULL, used bigint NOT NULL, sealed bytea NOT NULL);

CREATE TABLE leaf_index (account bigint NOT NULL, seq bigint NOT NULL, leaf bigint NOT NULL, PRIMARY KEY (account, seq));
CREATE TABLE block (first bigint PRIMARY KEY, leaves bigint NOT NULL, hashes bytea NOT NULL, sealed bytea NOT NULL);
CREATE TABLE tile (level bigint NOT NULL, idx bigint NOT NULL, hashes bytea NOT NULL, PRIMARY KEY (level, idx));

ALTER TABLE account ALTER COLUMN sealed SET STORAGE EXTERNAL;
ALTER TABLE secret ALTER COLUMN sealed SET STORAGE EXTERNAL;
ALTER TABLE block ALTER COLUMN sealed SET STORAGE EXTERNAL;
ALTER TABLE block ALTER COLUMN hashes SET STORAGE EXTERNAL;
ALTER TABLE tile ALTER COLUMN hashes SET STORAGE EXTERNAL;
