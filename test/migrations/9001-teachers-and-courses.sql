CREATE TABLE teachers (
  id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  version CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  created_at DATETIME(3) NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  applied_at DATETIME(3) NOT NULL,
  deleted_at DATETIME(3) NULL,
  fingerprint CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  trace CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_item TINYINT(1) NULL,
  KEY newest (deleted_at, created_at, id)
) ENGINE = InnoDB;

-- The CHECK stands for whatever a table may refuse that the collection's schema allows.
CREATE TABLE courses (
  id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  version CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  title VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  teacher_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  credits BIGINT NULL,
  price DOUBLE NULL,
  active TINYINT(1) NULL,
  starts_at DATETIME(3) NULL,
  tags JSON NULL,
  note VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  created_at DATETIME(3) NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  applied_at DATETIME(3) NOT NULL,
  deleted_at DATETIME(3) NULL,
  fingerprint CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
  trace CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_item TINYINT(1) NULL,
  KEY newest (deleted_at, created_at, id),
  KEY teacher (teacher_id, deleted_at, created_at, id),
  CONSTRAINT no_free_algebra CHECK (NOT (title = 'Algebra' AND price = 0))
) ENGINE = InnoDB;
