CREATE TABLE teachers LIKE data;
ALTER TABLE teachers
  DROP COLUMN nombre,
  ADD COLUMN name VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL;

-- The CHECK stands for whatever a table may refuse that the collection's schema allows.
CREATE TABLE courses LIKE data;
ALTER TABLE courses
  DROP COLUMN nombre,
  ADD COLUMN title VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN teacher_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN credits BIGINT NULL,
  ADD COLUMN price DOUBLE NULL,
  ADD COLUMN active TINYINT(1) NULL,
  ADD COLUMN starts_at DATETIME(3) NULL,
  ADD COLUMN tags JSON NULL,
  ADD COLUMN note VARCHAR(500) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD KEY teacher (teacher_id, deleted_at, created_at, id),
  ADD CONSTRAINT no_free_algebra CHECK (NOT (title = 'Algebra' AND price = 0));
