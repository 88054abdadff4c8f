-- Whether a write began its item's life: 201 instead of 200. On a collection's table it is about the
-- row's current version; it is not named `created`, which is a likely name of a field. NULL is
-- unknown: the write was settled by a release without the column, which can still write.
ALTER TABLE writes ADD COLUMN created TINYINT(1) NULL, ALGORITHM = INSTANT;
ALTER TABLE data ADD COLUMN created_item TINYINT(1) NULL, ALGORITHM = INSTANT;
