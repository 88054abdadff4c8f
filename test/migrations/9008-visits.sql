CREATE TABLE visits (
  id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  version CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  room VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  created_at DATETIME(3) NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  applied_at DATETIME(3) NOT NULL,
  deleted_at DATETIME(3) NULL,
  fingerprint CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  trace CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_item TINYINT(1) NULL,
  position BIGINT NOT NULL DEFAULT 0,
  created_position BIGINT NOT NULL DEFAULT 0,
  KEY newest_position (deleted_at, created_position),
  KEY changes (position),
  KEY version (version),
  KEY by_room (room, deleted_at, created_position),
  CONSTRAINT nobody CHECK (name <> 'Nobody')
) ENGINE = InnoDB;

INSERT INTO feeds (collection, epoch, position, swept) VALUES ('visits', UUID(), 0, 0);

CREATE TABLE diaries (
  id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  version CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  owner VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  text VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  created_at DATETIME(3) NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  applied_at DATETIME(3) NOT NULL,
  deleted_at DATETIME(3) NULL,
  fingerprint CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  trace CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_item TINYINT(1) NULL,
  position BIGINT NOT NULL DEFAULT 0,
  created_position BIGINT NOT NULL DEFAULT 0,
  KEY newest_position (deleted_at, owner, created_position),
  KEY changes (owner, position),
  KEY version (version)
) ENGINE = InnoDB;

INSERT INTO feeds (collection, epoch, position, swept) VALUES ('diaries', UUID(), 0, 0);
