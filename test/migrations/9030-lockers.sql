-- A collection with an owner, an expiry and a feed.
CREATE TABLE lockers LIKE berths;
ALTER TABLE lockers
  ADD COLUMN position BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN created_position BIGINT NOT NULL DEFAULT 0,
  DROP KEY newest,
  ADD KEY newest_position (deleted_at, created_position),
  ADD KEY changes (position),
  ADD KEY version (version);

INSERT INTO feeds (collection, epoch, position, swept) VALUES ('lockers', UUID(), 0, 0);
