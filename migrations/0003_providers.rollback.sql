DROP TABLE breaker;
DROP INDEX job_attempt_provider;
DROP TABLE slot_template;
ALTER TABLE job DROP COLUMN retry_after_seconds, DROP COLUMN polls_failed, DROP COLUMN on_fallback;
ALTER TABLE slot DROP COLUMN fallback;
