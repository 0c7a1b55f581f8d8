-- A try at a name with an account writes the pages that one at a name without writes, so that
-- the time does not tell them apart.
DROP INDEX guess_unknown;
CREATE INDEX guess_tried ON guess (known, last_ms);
