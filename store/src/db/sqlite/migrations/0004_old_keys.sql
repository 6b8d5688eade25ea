-- The key that a feed had before its last rotation, for as long as it still opens it.
ALTER TABLE feed ADD COLUMN old_key_hash BLOB CHECK (length(old_key_hash) = 32);
ALTER TABLE feed ADD COLUMN old_key_until INTEGER;
CREATE UNIQUE INDEX feed_old_key ON feed (old_key_hash) WHERE old_key_hash IS NOT NULL;
