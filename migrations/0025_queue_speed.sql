-- Less to write for each job: the claim and the outcome of a job are most of what the queue writes.

-- Only rows that have a lane are in its index; for all others it was half of what an insert cost.
DROP INDEX queue.job_lane;
CREATE INDEX job_lane ON queue.job (queue, lane, priority, run_at, id) WHERE state = 0 AND lane IS NOT NULL;

-- What a claim changes stands together behind what it does not, and the new version finds room on its own page: then only
-- the difference is logged, and not the payload once more. So the state moves to the end of the row, and all that stands
-- upon it (indexes and constraints, whatever they are by now) is made again as it was.
DO $$
DECLARE
    place smallint := (SELECT attnum FROM pg_attribute WHERE attrelid = 'queue.job'::regclass AND attname = 'state');
    again text[];
    statement text;
BEGIN
    SELECT array_agg(made) INTO again FROM (
        SELECT format('ALTER TABLE queue.job ADD CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) AS made
        FROM pg_constraint WHERE conrelid = 'queue.job'::regclass AND place = ANY (conkey) AND contype = 'c'
        UNION ALL
        SELECT DISTINCT pg_get_indexdef(objid) FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
            AND refobjid = 'queue.job'::regclass AND refobjsubid = place
            AND objid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'queue.job'::regclass)
    ) dependent;
    ALTER TABLE queue.job ADD COLUMN state_at_end smallint NOT NULL DEFAULT 0;
    UPDATE queue.job SET state_at_end = state WHERE state <> 0;
    ALTER TABLE queue.job DROP COLUMN state;
    ALTER TABLE queue.job RENAME COLUMN state_at_end TO state; -- 0 ready, 1 scheduled, 2 running, 3 parked
    FOREACH statement IN ARRAY again LOOP
        EXECUTE statement;
    END LOOP;
END $$;
ALTER TABLE queue.job SET (fillfactor = 50);
