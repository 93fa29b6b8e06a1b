-- Live jobs that failed and are tried again: the console tells of them every few seconds, and nobody reads all live jobs for
-- that. What was noted of failures changes with a failure only, so no other step of a job touches the index.
CREATE INDEX job_failed ON queue.job (id) WHERE errors <> '[]';

-- A schedule that no program has any more is to be forgotten, and only then.
ALTER TABLE queue.node ADD COLUMN schedules text[]; -- names of the schedules it fires; null: of a program that does not say
