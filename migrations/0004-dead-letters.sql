-- Retention deletes by `last_seen`; the count of those that were not replayed reads no dead letter whole.
ALTER TABLE dead_letters
  ADD KEY seen (last_seen),
  ADD KEY replayed (replayed_at),
  ALGORITHM = INPLACE, LOCK = NONE;
