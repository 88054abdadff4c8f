CREATE TABLE parcels LIKE data;
ALTER TABLE parcels
  DROP COLUMN nombre,
  ADD COLUMN nick VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN status VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN count BIGINT NULL,
  ADD COLUMN weight DOUBLE NULL,
  ADD COLUMN due_at DATETIME(3) NULL,
  ADD COLUMN address JSON NULL,
  ADD COLUMN `lines` JSON NULL,
  ADD COLUMN labels JSON NULL,
  ADD KEY by_nick (nick, deleted_at, created_at, id),
  ADD KEY by_status (status, deleted_at, created_at, id),
  ADD KEY by_count (count, deleted_at, created_at, id),
  ADD KEY by_weight (weight, deleted_at, created_at, id),
  ADD KEY by_due_at (due_at, deleted_at, created_at, id);
