-- The counter of each collection with a feed: `position` is the last one that was given, `swept` the
-- highest of a tombstone that retention has deleted. A new `epoch` makes all places of readers invalid.
CREATE TABLE feeds (
  collection VARCHAR(48) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  epoch CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  position BIGINT NOT NULL,
  swept BIGINT NOT NULL
) ENGINE = InnoDB;
-- Of an applied write of a collection with a feed.
ALTER TABLE writes ADD COLUMN position BIGINT NULL, ALGORITHM = INSTANT;
