-- A database of version 1, as that version made it: master key 07…07, account "alex" with one key.
CREATE TABLE schema (version bigint NOT NULL);
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

INSERT INTO schema VALUES (1);
INSERT INTO system VALUES (1, '\xd24a3f64e62be93d8b6202bafd96ddb0', '\x0000000112b1083c97d4815f4e355d94623d66f85b1243874c4e99650d48b63b98254452f63c9d9e1c2ba756b39fa9f7b577441ad70a852c77ea902b20f2a7af8bea6f2a23c194b96552f0451635ef8b1282a7a0a5da56b1e09d397787d948485b41f1c5055ce435bf6ac2684e63d6e235481003aeebfaded9e2981835e52d215a9c8630006ff578eab41665f8112f4aa2adf01fc345754eadf0edfa29112d7d24a1bd1b9514ea819eb57c21dcdfa4888b6a3a18b0669f11fb462f9c7e7ccdf26cf4d5d71c45533ad7cfa27e5c7fa8768e73a701b547d5b586327dd31b95141c4cd62f9272fc87db3c9ed9bc2196d12934dfe7d150f0f82eec5e0bcc37c73f41a3360aae80e73390f43a42a99d88f8e608bf8f2d');
INSERT INTO data_key VALUES (1, 1, '\x84f568971de8ec1efa09799074b40452', '\x13fdd2a28a921115e4cc1d5213fe28c9feb5d143e0402a1f9879c6cbf49334cbf3671de645d9e7c76d1b667638a75dcc8dc921a1850f4b056a0e95f142b0f58baf7b01189e857a0d');
INSERT INTO data_key VALUES (2, 2, '\x84f568971de8ec1efa09799074b40452', '\x8dd266f7346c944256bd95562c241d42ea4b943bf2e9f028ff52dee624051d02a48d61179064a4d2df3565cfbd23e8f11cde86b5081f3ad8aca90bfea02a3eabf98cacea6f2302a1');
INSERT INTO data_key VALUES (3, 3, '\x84f568971de8ec1efa09799074b40452', '\x680a8d2d782221c977f40b50089ded9323fc3e15fadc15c6f08b12b8c675f63c373da1cd46c491dbc4f2681b41caea47a2424a00a632c830a9386ff71b4b27b53a4af6793ad0649d');
INSERT INTO data_key VALUES (4, 4, '\x84f568971de8ec1efa09799074b40452', '\x420749a754a04525851f4de82bd504519ed7e4733f6981838f8532eefd913525033deb126c233675d7d53ec32efba73d8bb7cd87553ec5ca38e832dddc4aa158dd0185406950c2ef');
INSERT INTO data_key VALUES (5, 5, '\x84f568971de8ec1efa09799074b40452', '\x9a2b855ea733c4ba8c0a8c16615336bb69b0999550984cf95e1655d9f110a2e5efcdb879c8db6c03eff4d5c4a3722e57c0748786d10fe915933978868ae31fe9fe70c0ad05fe61b2');
INSERT INTO head VALUES (1, '\xf98fa72b8f4477e29b4ed71f55a2859f', 0, 0, 1795339699001, 2, 1, '\x000000013230d6c25d14958ed3cce197d4e038b01b4c119706d314c4e95c549424e4f7f26c9ec11718291d20d18031');
INSERT INTO account VALUES (1, '\x0101010101010101010101010101010101010101010101010101010101010101', '\x01010101010101010101010101010101', 1, 1000, 0, '\x0000000278b33fa870d0eed597eb89b9b7f32670f0c1025c776c226621534505d32b465bf137e08ba166dc55a1af038bca7ab5fc33c7554ae1d34128d0aab74ca1f1e6f62be29e62382e908a5f98fabd0cbc4abc5fbdd975af65c36317aaa99f4e6ab908ed66d517d65ae02298dc27c260fe534c8febdbb682958c7da1a6babde55f70b216b7e621c82569c5ddff47c9b991bb36f0be801ee6b369e0cf5f3af924e0d1a34a59dbcabe643e99c571498c7deac0b1adb7063484cae67bf9d552ac6100089238797ae4bcb569d7084ccc20211c5213d23aa290ea9a62d1c62922a665d601c2cc98bb60f3301e990c3af4c5c21ede14b2c7b6faa9b16a6aaf296368c345ac634d44cbda369e175643c87486c1d2db2ebe42702c5c');
INSERT INTO chain VALUES (1, '\x00000002e344ea856be336cfee47883c6d81749ad9c6f07e9ed691008c03db0237bccf0dba75d6eee4f9eb999f02e0b863ed748bdd45d543a9f062e9add67c51d0bacb62401c4f9e0a58c1f8d632a4a89d88d35c06');
INSERT INTO secret VALUES (1, '\x09090909090909090909090909090909', 2, 255, 0, 0, 5, '\x00000003628d674df295719ca3c71a5f62168ee3d8beb809b34cf6676bbf1cd345852d2139f8e4dd0b1d14f8d6a192e6fdd23acb534609e40fe04ba62dfd34007f5e0e7319b4a6db9eee1726779c060904e533c1e82d20d26de4771bddf077e67a9552a74e978669820bb998d96642b1d31f03a85283d23cc112805e7fd93d00d02d971ffea40421ac83');
