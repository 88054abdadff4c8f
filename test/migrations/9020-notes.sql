CREATE TABLE notes LIKE data;
ALTER TABLE notes
  DROP COLUMN nombre,
  ADD COLUMN owner VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN text VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL;

CREATE TABLE drafts LIKE data;
ALTER TABLE drafts
  DROP COLUMN nombre,
  DROP KEY newest,
  ADD COLUMN owner VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  ADD COLUMN text VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN folder VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD KEY newest (deleted_at, owner, created_at, id),
  ADD KEY folder (deleted_at, owner, folder, created_at, id);
