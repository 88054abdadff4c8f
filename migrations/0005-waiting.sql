-- Why a write had its outcome, as a word for programs (`not-owner`, `expired`), and who has written.
ALTER TABLE writes
  ADD COLUMN code VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD COLUMN subject VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ALGORITHM = INSTANT;

-- The writes that wait for another write, from the first transaction that found them so, by MySQL's
-- clock in UTC. Retention deletes by `first_judged` what was not deleted when its write was settled.
CREATE TABLE waiting (
  write_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  first_judged DATETIME(3) NOT NULL,
  KEY first_judged (first_judged)
) ENGINE = InnoDB;
