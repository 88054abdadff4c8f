-- The names of the fields are words that SQL reserves.
CREATE TABLE standings LIKE data;
ALTER TABLE standings
  DROP COLUMN nombre,
  ADD COLUMN `group` VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN `rank` BIGINT NULL,
  ADD KEY by_group (`group`, deleted_at, created_at, id),
  ADD KEY by_rank (`rank`, deleted_at, created_at, id);
