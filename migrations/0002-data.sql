-- A new collection has the columns of this table, and `created_item` as in 0003-created.sql.
-- The fields are NULL on a tombstone, which keeps no content; the API requires them otherwise.
CREATE TABLE data (
  id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  version CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  nombre VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  created_at DATETIME(3) NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  applied_at DATETIME(3) NOT NULL,
  deleted_at DATETIME(3) NULL,
  fingerprint CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  trace CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  KEY newest (deleted_at, created_at, id)
) ENGINE = InnoDB;
