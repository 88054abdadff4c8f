-- When a sweep that all processes share began last, by MySQL's clock in UTC: timers leave it to the
-- next minute where another process has just run it.
CREATE TABLE sweeps (
  name VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  swept_at DATETIME(3) NOT NULL
) ENGINE = InnoDB;
