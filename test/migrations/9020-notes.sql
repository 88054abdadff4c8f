CREATE TABLE notes (
  id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  version CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  owner VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
  text VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  created_at DATETIME(3) NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  applied_at DATETIME(3) NOT NULL,
  deleted_at DATETIME(3) NULL,
  fingerprint CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  trace CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_item TINYINT(1) NULL,
  KEY newest (deleted_at, created_at, id)
) ENGINE = InnoDB;

CREATE TABLE drafts (
  id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  version CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  owner VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  text VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  folder VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  created_at DATETIME(3) NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  applied_at DATETIME(3) NOT NULL,
  deleted_at DATETIME(3) NULL,
  fingerprint CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  trace CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_item TINYINT(1) NULL,
  KEY newest (deleted_at, owner, created_at, id),
  KEY folder (deleted_at, owner, folder, created_at, id)
) ENGINE = InnoDB;
