-- depends: 0002_slots
-- What several providers need: a fallback per slot, templates by role, limits that count attempts, circuit breakers.

ALTER TABLE slot ADD COLUMN fallback jsonb CHECK (
    fallback IS NULL OR (fallback ? 'provider' AND fallback ? 'operation' AND fallback ? 'settings'));

ALTER TABLE job
    ADD COLUMN on_fallback boolean NOT NULL DEFAULT false,
    ADD COLUMN polls_failed smallint NOT NULL DEFAULT 0 CHECK (polls_failed >= 0),
    ADD COLUMN retry_after_seconds smallint CHECK (retry_after_seconds > 0);

CREATE TABLE slot_template (
    slot_id         text NOT NULL REFERENCES slot,
    role            text NOT NULL CHECK (role ~ '^[a-z_]{1,32}$'),
    media_object_id uuid NOT NULL REFERENCES media_object,
    PRIMARY KEY (slot_id, role)
);

CREATE INDEX slot_template_media ON slot_template (media_object_id);

-- Requests per minute and day are counted here, and how long a provider usually takes.
CREATE INDEX job_attempt_provider ON job_attempt (provider, started_at);

-- One circuit breaker per provider and model: closed while failures_in_row is small, open until open_until, then one
-- call at a time probes until probe_until.
CREATE TABLE breaker (
    provider        text NOT NULL,
    model           text NOT NULL,
    failures_in_row integer NOT NULL DEFAULT 0 CHECK (failures_in_row >= 0),
    open_until      timestamptz,
    probe_until     timestamptz,
    changed_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, model)
) WITH (fillfactor = 50);
