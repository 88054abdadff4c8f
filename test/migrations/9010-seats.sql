-- A collection whose items expire: when the version's message was published, and the sweep's index.
CREATE TABLE seats LIKE data;
ALTER TABLE seats
  DROP COLUMN nombre,
  ADD COLUMN passenger VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN held_until DATETIME(3) NULL,
  ADD COLUMN version_published_at DATETIME(3) NULL,
  ADD KEY by_passenger (passenger, deleted_at, created_at, id),
  ADD KEY expiring (deleted_at, held_until);

-- The same with owners.
CREATE TABLE berths LIKE data;
ALTER TABLE berths
  DROP COLUMN nombre,
  ADD COLUMN owner VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN note VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  ADD COLUMN held_until DATETIME(3) NULL,
  ADD COLUMN version_published_at DATETIME(3) NULL,
  ADD KEY expiring (deleted_at, held_until);

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
