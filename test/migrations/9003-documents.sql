CREATE TABLE documents LIKE data;
ALTER TABLE documents
  DROP COLUMN nombre,
  ADD COLUMN content JSON NULL;
