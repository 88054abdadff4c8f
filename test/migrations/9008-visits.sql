CREATE TABLE visits LIKE data;
ALTER TABLE visits
  DROP COLUMN nombre,
  DROP KEY newest,
  ADD COLUMN name VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN room VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN position BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN created_position BIGINT NOT NULL DEFAULT 0,
  ADD KEY newest_position (deleted_at, created_position),
  ADD KEY changes (position),
  ADD KEY version (version),
  ADD KEY by_room (room, deleted_at, created_position),
  ADD CONSTRAINT nobody CHECK (name <> 'Nobody');

INSERT INTO feeds (collection, epoch, position, swept) VALUES ('visits', UUID(), 0, 0);

CREATE TABLE diaries LIKE data;
ALTER TABLE diaries
  DROP COLUMN nombre,
  DROP KEY newest,
  ADD COLUMN owner VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  ADD COLUMN text VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN position BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN created_position BIGINT NOT NULL DEFAULT 0,
  ADD KEY newest_position (deleted_at, owner, created_position),
  ADD KEY changes (owner, position),
  ADD KEY version (version);

INSERT INTO feeds (collection, epoch, position, swept) VALUES ('diaries', UUID(), 0, 0);
