-- The spine: slots, jobs and what becomes of them.
--
-- `job` is the queue: narrow and hot. What is written once (the slot's snapshot, the booth's fields, the photo's
-- figures) stands in `job_input`. A claim belongs to a runner, and a runner's lease is one row in `runner`: renewing
-- it costs one small update a second, however many jobs it holds.

CREATE TABLE slot (
    slot_id               text PRIMARY KEY CHECK (slot_id ~ '^slot-0(0[1-9]|1[0-5])$'),
    display_name          text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 200),
    provider              text NOT NULL,
    operation             text NOT NULL,
    settings              jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    is_active             boolean NOT NULL DEFAULT true,
    size_limit_mb         smallint NOT NULL DEFAULT 15 CHECK (size_limit_mb BETWEEN 1 AND 20),
    sync_response_seconds smallint CHECK (sync_response_seconds BETWEEN 10 AND 60),
    ingest_password_hash  text,
    version               integer NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at            timestamptz NOT NULL DEFAULT now(),
    updated_by            text NOT NULL DEFAULT 'migration'
);

CREATE TABLE app_settings (
    name       text PRIMARY KEY,
    value      jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by text NOT NULL
);

-- No foreign key to slot: its check would lock the slot's row for every photo, and slots are never deleted.
CREATE TABLE job (
    job_id                 uuid PRIMARY KEY,
    kind                   text NOT NULL DEFAULT 'photo' CHECK (kind ~ '^[a-z_]{1,32}$'),
    source                 text NOT NULL CHECK (source IN ('ingest', 'ui_test')),
    slot_id                text CHECK (kind <> 'photo' OR slot_id IS NOT NULL),
    provider               text NOT NULL,
    status                 text NOT NULL CHECK (status IN ('queued', 'running', 'waiting', 'done', 'failed', 'timeout')),
    priority               smallint NOT NULL DEFAULT 0,
    created_at             timestamptz NOT NULL,
    expires_at             timestamptz NOT NULL CHECK (expires_at > created_at),
    start_by               timestamptz NOT NULL CHECK (start_by <= expires_at),
    run_after              timestamptz NOT NULL,
    runner                 text,
    claim_number           integer NOT NULL DEFAULT 0 CHECK (claim_number >= 0),
    lease_until            timestamptz,
    attempt                smallint NOT NULL DEFAULT 0 CHECK (attempt BETWEEN 0 AND max_attempts),
    max_attempts           smallint NOT NULL DEFAULT 1 CHECK (max_attempts BETWEEN 1 AND 100),
    provider_job_reference text,
    finished_at            timestamptz,
    failure_reason         text,
    failure_details        text,
    result_path            text,
    preview_path           text,
    result_mime            text CHECK (result_mime IN ('image/jpeg', 'image/png', 'image/webp')),
    result_bytes           integer CHECK (result_bytes > 0),
    result_sha256          bytea CHECK (length(result_sha256) = 32),
    result_expires_at      timestamptz,
    CHECK ((status = 'running') = (runner IS NOT NULL)),
    CHECK ((status = 'running') = (lease_until IS NOT NULL)),
    CHECK ((status IN ('done', 'failed', 'timeout')) = (finished_at IS NOT NULL)),
    CHECK ((status IN ('failed', 'timeout')) = (failure_reason IS NOT NULL)),
    CHECK ((status = 'done') = (result_sha256 IS NOT NULL AND result_mime IS NOT NULL
                                AND result_bytes IS NOT NULL AND result_expires_at IS NOT NULL)),
    CHECK (result_path IS NULL OR status = 'done'),
    CHECK (preview_path IS NULL OR result_path IS NOT NULL)
) WITH (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.02);

CREATE INDEX job_queued ON job (priority DESC, expires_at) WHERE status = 'queued';
CREATE INDEX job_waiting ON job (run_after) WHERE status = 'waiting';
CREATE INDEX job_open ON job (slot_id) WHERE status IN ('queued', 'running', 'waiting');
CREATE INDEX job_with_result ON job (slot_id, finished_at DESC) WHERE result_path IS NOT NULL;

CREATE TABLE job_input (
    job_id          uuid PRIMARY KEY REFERENCES job ON DELETE CASCADE,
    slot_id         text,
    slot_version    integer,
    snapshot        jsonb NOT NULL CHECK (jsonb_typeof(snapshot) = 'object'),
    booth_fields    jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(booth_fields) = 'object'),
    photo_path      text NOT NULL,
    photo_mime      text NOT NULL CHECK (photo_mime IN ('image/jpeg', 'image/png', 'image/webp')),
    photo_bytes     integer NOT NULL CHECK (photo_bytes > 0),
    photo_width     integer NOT NULL CHECK (photo_width > 0),
    photo_height    integer NOT NULL CHECK (photo_height > 0),
    photo_sha256    bytea NOT NULL CHECK (length(photo_sha256) = 32),
    idempotency_key text CHECK (length(idempotency_key) BETWEEN 1 AND 255)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02);

CREATE INDEX job_input_photo ON job_input (photo_sha256);
CREATE INDEX job_input_idempotency ON job_input (slot_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE job_attempt (
    job_id      uuid NOT NULL REFERENCES job ON DELETE CASCADE,
    number      smallint NOT NULL CHECK (number > 0),
    provider    text NOT NULL,
    model       text,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz CHECK (finished_at >= started_at),
    outcome     text,
    http_status smallint,
    request_id  text,
    usage       jsonb,
    cost_usd    numeric(10, 6) CHECK (cost_usd >= 0),
    reason      text CHECK (length(reason) <= 300),
    PRIMARY KEY (job_id, number),
    CHECK ((finished_at IS NULL) = (outcome IS NULL))
);

-- Never updated, addressed only by its job: no key of its own.
CREATE TABLE processing_log (
    job_id  uuid,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    event   text NOT NULL,
    runner  text,
    details jsonb
);

CREATE INDEX processing_log_job ON processing_log (job_id);
CREATE INDEX processing_log_at ON processing_log USING brin (at);

CREATE TABLE runner (
    runner      text PRIMARY KEY,
    host        text NOT NULL,
    pid         integer NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE media_object (
    media_object_id uuid PRIMARY KEY,
    kind            text NOT NULL CHECK (kind IN ('provider_media', 'template', 'upload')),
    job_id          uuid REFERENCES job ON DELETE CASCADE CHECK (kind <> 'provider_media' OR job_id IS NOT NULL),
    path            text,
    mime            text NOT NULL CHECK (mime IN ('image/jpeg', 'image/png', 'image/webp')),
    bytes           integer NOT NULL CHECK (bytes > 0),
    sha256          bytea NOT NULL CHECK (length(sha256) = 32),
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz CHECK ((kind = 'template') = (expires_at IS NULL)),
    cleaned_at      timestamptz CHECK (cleaned_at IS NULL OR path IS NULL)
);

CREATE INDEX media_object_expiring ON media_object (expires_at) WHERE cleaned_at IS NULL;
CREATE INDEX media_object_job ON media_object (job_id) WHERE job_id IS NOT NULL;
