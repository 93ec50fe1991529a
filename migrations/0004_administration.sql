-- depends: 0003_providers
-- What administrators need: sessions, histories, secrets, purges on demand, and figures that outlive their jobs.

-- The log of jobs is read by time. The moment stands in the row that is written once: an index on `job` would be
-- written again at every move.
ALTER TABLE job_input
    ADD COLUMN created_at timestamptz,
    ADD COLUMN replay_of uuid;
UPDATE job_input SET created_at = job.created_at FROM job WHERE job.job_id = job_input.job_id;
ALTER TABLE job_input ALTER COLUMN created_at SET NOT NULL;
CREATE INDEX job_input_created ON job_input (created_at);
CREATE INDEX job_input_slot ON job_input (slot_id, created_at);
CREATE INDEX job_input_provider ON job_input ((snapshot ->> 'provider'), created_at);

-- What is seldom may have indexes on `job`: they are written for few of its moves.
CREATE INDEX job_failed ON job (created_at) WHERE status IN ('failed', 'timeout');
CREATE INDEX job_failed_slot ON job (slot_id, created_at) WHERE status IN ('failed', 'timeout');
CREATE INDEX job_failed_reason ON job (failure_reason, created_at) WHERE status IN ('failed', 'timeout');
CREATE INDEX job_on_fallback ON job (created_at) WHERE on_fallback;
CREATE INDEX job_ui_test ON job (created_at) WHERE source = 'ui_test';
-- A slot's last failure, also where only others have failed of late. By its end: for an order by created_at the planner
-- walks job_failed, through the failures of all slots.
CREATE INDEX job_failed_last ON job (slot_id, finished_at DESC) WHERE status IN ('failed', 'timeout');

ALTER TABLE media_object
    ADD COLUMN title text CHECK (length(title) BETWEEN 1 AND 200),
    ADD COLUMN width integer CHECK (width > 0),
    ADD COLUMN height integer CHECK (height > 0),
    ADD COLUMN created_by text;

-- A picture is a template once, however often it is registered.
CREATE UNIQUE INDEX media_object_template ON media_object (sha256) WHERE kind = 'template';

-- Lines without a job are what administrators did; `actor` is who.
ALTER TABLE processing_log ADD COLUMN actor text;
CREATE INDEX processing_log_administration ON processing_log (at) WHERE job_id IS NULL;

-- A session lives here; what the browser or program holds is its signed id. Of the id only the SHA-256 is kept.
CREATE TABLE session (
    session_id   bytea PRIMARY KEY CHECK (length(session_id) = 32),
    kind         text NOT NULL CHECK (kind IN ('cookie', 'bearer')),
    account      text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    revoked_at   timestamptz,
    address      text,
    user_agent   text CHECK (length(user_agent) <= 300)
) WITH (fillfactor = 75);

CREATE TABLE login_failure (
    at      timestamptz NOT NULL DEFAULT now(),
    account text NOT NULL,
    address text NOT NULL
);

CREATE INDEX login_failure_at ON login_failure (at);

CREATE TABLE slot_version (
    slot_id  text NOT NULL REFERENCES slot,
    version  integer NOT NULL CHECK (version > 0),
    saved_at timestamptz NOT NULL DEFAULT now(),
    saved_by text NOT NULL,
    document jsonb NOT NULL CHECK (jsonb_typeof(document) = 'object'),
    PRIMARY KEY (slot_id, version)
);

CREATE TABLE secret (
    name       text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_.]{0,63}$'),
    ciphertext bytea NOT NULL,
    last_four  text NOT NULL CHECK (length(last_four) <= 4),
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by text NOT NULL
);

-- A runner asks the provider, free of charge, whether its key is good: when somebody wants to know, and now and then.
CREATE TABLE provider_check (
    provider     text PRIMARY KEY,
    requested_at timestamptz,
    checked_at   timestamptz,
    good         boolean,
    sentence     text CHECK (length(sentence) <= 300),
    taken_at     timestamptz,
    CHECK ((checked_at IS NULL) = (good IS NULL))
);

-- A purge that somebody asked for: the cleanup daemon takes it up within seconds.
CREATE TABLE purge (
    purge_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slot_id      text,
    requested_at timestamptz NOT NULL DEFAULT now(),
    requested_by text NOT NULL,
    finished_at  timestamptz,
    files        integer CHECK (files >= 0),
    bytes        bigint CHECK (bytes >= 0)
);

-- Of those that wait there is one per slot, and one of all slots.
CREATE UNIQUE INDEX purge_open ON purge (slot_id) NULLS NOT DISTINCT WHERE finished_at IS NULL;

CREATE TABLE storage_figure (
    name        text PRIMARY KEY,
    files       integer CHECK (files >= 0),
    bytes       bigint NOT NULL CHECK (bytes >= 0),
    measured_at timestamptz NOT NULL DEFAULT now()
);

-- Closed hours, by the moment their photos came: what statistics beyond the job table's memory are made of.
CREATE TABLE hourly_figure (
    hour              timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
    slot_id           text NOT NULL,
    source            text NOT NULL,
    provider          text NOT NULL,
    jobs              integer NOT NULL CHECK (jobs >= 0),
    done              integer NOT NULL CHECK (done >= 0),
    timeouts          integer NOT NULL CHECK (timeouts >= 0),
    failed            integer NOT NULL CHECK (failed >= 0),
    provider_errors   integer NOT NULL CHECK (provider_errors BETWEEN 0 AND failed),
    reasons           jsonb NOT NULL DEFAULT '{}',
    seconds_histogram integer[] NOT NULL,
    PRIMARY KEY (hour, slot_id, source, provider),
    CHECK (jobs = done + timeouts + failed)
);

CREATE TABLE hourly_attempts (
    hour              timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
    slot_id           text NOT NULL,
    source            text NOT NULL,
    provider          text NOT NULL,
    model             text NOT NULL,
    attempts          integer NOT NULL CHECK (attempts >= 0),
    failed            integer NOT NULL CHECK (failed BETWEEN 0 AND attempts),
    cost_usd          numeric(14, 6) NOT NULL CHECK (cost_usd >= 0),
    seconds_histogram integer[] NOT NULL,
    PRIMARY KEY (hour, slot_id, source, provider, model)
);

-- One slot's statistics read its hours, not all.
CREATE INDEX hourly_figure_slot ON hourly_figure (slot_id, hour);
CREATE INDEX hourly_attempts_slot ON hourly_attempts (slot_id, hour);

-- Hours before this moment are in the two tables above, and later ones are not.
CREATE TABLE hourly_watermark (
    single       boolean PRIMARY KEY DEFAULT true CHECK (single),
    rolled_until timestamptz NOT NULL
);

-- What the notifier has told, so that it does not tell it again every minute.
CREATE TABLE alert (
    name         text PRIMARY KEY,
    since        timestamptz NOT NULL DEFAULT now(),
    told_at      timestamptz,
    times_seen   integer NOT NULL DEFAULT 1 CHECK (times_seen > 0),
    sentence     text NOT NULL,
    seen_at      timestamptz NOT NULL DEFAULT now()
);

-- When each sweep was last through: by this everyone sees that the cleanup daemon lives.
CREATE TABLE sweep_run (
    name        text PRIMARY KEY,
    finished_at timestamptz NOT NULL DEFAULT now(),
    count       integer NOT NULL CHECK (count >= 0)
) WITH (fillfactor = 50);
