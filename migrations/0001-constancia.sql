-- The settled writes that are not the current version of their item: the receipt of a current
-- version is the item's own row. Ids are time-ordered, so retention deletes a range of the key.
CREATE TABLE writes (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  collection VARCHAR(48) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  item_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  outcome VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  settled_at DATETIME(3) NOT NULL,
  trace CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL
) ENGINE = InnoDB;

-- What can never be settled as a write, whole, with the reason. `write_id` is NULL for a message
-- that is no write at all.
CREATE TABLE dead_letters (
  message_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  write_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL UNIQUE,
  attributes MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  data LONGBLOB NOT NULL,
  reason VARCHAR(1000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  first_seen DATETIME(3) NOT NULL,
  last_seen DATETIME(3) NOT NULL,
  replayed_at DATETIME(3) NULL,
  replayed_as CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL
) ENGINE = InnoDB;
