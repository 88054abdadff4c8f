-- A collection whose items expire: when the version's message was published, and the sweep's index.
CREATE TABLE seats (
  id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  version CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  passenger VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  held_until DATETIME(3) NULL,
  created_at DATETIME(3) NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  applied_at DATETIME(3) NOT NULL,
  deleted_at DATETIME(3) NULL,
  fingerprint CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  trace CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_item TINYINT(1) NULL,
  version_published_at DATETIME(3) NULL,
  KEY newest (deleted_at, created_at, id),
  KEY by_passenger (passenger, deleted_at, created_at, id),
  KEY expiring (deleted_at, held_until)
) ENGINE = InnoDB;

-- The same with owners.
CREATE TABLE berths (
  id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  version CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  owner VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
  note VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  held_until DATETIME(3) NULL,
  created_at DATETIME(3) NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  applied_at DATETIME(3) NOT NULL,
  deleted_at DATETIME(3) NULL,
  fingerprint CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  trace CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_item TINYINT(1) NULL,
  version_published_at DATETIME(3) NULL,
  KEY newest (deleted_at, created_at, id),
  KEY expiring (deleted_at, held_until)
) ENGINE = InnoDB;

-- And where only the owner reads.
CREATE TABLE cabins LIKE berths;
ALTER TABLE cabins DROP KEY newest, ADD KEY newest (deleted_at, owner, created_at, id);

-- And with a feed.
CREATE TABLE sleepers LIKE seats;
ALTER TABLE sleepers
  ADD COLUMN position BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN created_position BIGINT NOT NULL DEFAULT 0,
  DROP KEY newest,
  DROP KEY by_passenger,
  ADD KEY changes (position),
  ADD KEY version (version),
  ADD KEY newest_position (deleted_at, created_position);
INSERT INTO feeds (collection, epoch, position, swept) VALUES ('sleepers', UUID(), 0, 0);
