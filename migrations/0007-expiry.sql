-- When a sweep that all processes share began last, by MySQL's clock in UTC: timers leave it to the
-- next minute where another process has just run it.
CREATE TABLE sweeps (
  name VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  swept_at DATETIME(3) NOT NULL
) ENGINE = InnoDB;
-- When the dead write was published: its replay stands there among writes of an item that expires.
ALTER TABLE dead_letters ADD COLUMN published_at DATETIME(3) NULL, ALGORITHM = INSTANT;
-- Of an `expire`, whose id does not have the time: when it was published.
ALTER TABLE writes ADD COLUMN accepted_at DATETIME(3) NULL, ALGORITHM = INSTANT;
