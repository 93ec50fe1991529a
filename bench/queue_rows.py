"""Many jobs at once by SQL: queued ones to work on, finished ones to be in the way."""

from bench.database import execute

SNAPSHOT = """jsonb_build_object('slot_id', 'slot-001', 'slot_version', 1, 'provider', 'gemini',
    'operation', 'image_edit', 'result_ttl_hours', 72,
    'settings', jsonb_build_object('retries', 1, 'repeat_interrupted', true, 'prompt',
    'Turn this photo into an elegant studio portrait: soft key light, a warm painted backdrop and a festive mood.'))"""
FIELDS = """'{"time": "2026-11-05 18:00:00", "user_id": "booth-1", "id": "1", "profile": "slot-001", "status": "new",
    "name": "Booth 1", "model": "Canon EOS R6", "version": "photochanger booth"}'::jsonb"""

JOB_ID = "(lpad(to_hex(extract(epoch FROM {at})::bigint), 8, '0') || substr(md5(random()::text), 9))::uuid"
"""As `new_job_id` makes them."""

QUEUED = f"""
    INSERT INTO job (job_id, source, slot_id, provider, status, max_attempts, created_at, expires_at, start_by,
                     run_after)
    SELECT {JOB_ID.format(at="now()")}, 'ingest',
           'slot-' || lpad((1 + mod(number, 15))::text, 3, '0'), 'gemini', 'queued', 2,
           now(), now() + interval '1 hour' + number * interval '1 ms', now() + interval '59 minutes', now()
    FROM generate_series(1, %(count)s::int) AS number
"""
FINISHED = f"""
    INSERT INTO job (job_id, source, slot_id, provider, status, claim_number, attempt, max_attempts, created_at,
                     expires_at, start_by, run_after, finished_at, result_path, preview_path, result_mime, result_bytes,
                     result_sha256, result_expires_at)
    SELECT id, 'ingest', 'slot-' || lpad((1 + mod(number, 15))::text, 3, '0'), 'gemini', 'done', 1, 1, 2, at,
           at + interval '48 s', at + interval '46 s', at, at + interval '20 s',
           'results/' || replace(id::text, '-', '') || '.jpg', 'previews/' || replace(id::text, '-', '') || '.webp',
           'image/jpeg', 400000, sha256(id::text::bytea), at + interval '72 h'
    FROM (SELECT {JOB_ID.format(at="at")} AS id, number, at
          FROM (SELECT number, now() - (%(count)s::int - number) * interval '250 ms' - interval '1 minute' AS at
                FROM generate_series(1, %(count)s::int) AS number) AS numbered) AS made
"""
INPUTS = f"""
    INSERT INTO job_input (job_id, slot_id, slot_version, snapshot, booth_fields, photo_path, photo_mime, photo_bytes,
                           photo_width, photo_height, photo_sha256, created_at)
    SELECT job_id, slot_id, 1, {SNAPSHOT}, {FIELDS}, 'ingest/' || replace(job_id::text, '-', ''), 'image/jpeg',
           2000000, 3264, 2448, sha256(job_id::text::bytea), created_at
    FROM job WHERE NOT EXISTS (SELECT FROM job_input WHERE job_input.job_id = job.job_id)
"""
LOGGED = """
    INSERT INTO processing_log (job_id, at, event, runner, details)
    SELECT job_id, created_at + step * interval '1 s', (ARRAY['queued', 'claimed', 'finished'])[step],
           CASE WHEN step > 1 THEN 'runner:1:0123abcd' END, CASE WHEN step = 1 THEN '{"slot": "slot-001"}'::jsonb END
    FROM job, generate_series(1, 3) AS step WHERE status = 'done' ORDER BY created_at
"""


def add_queued(url: str, count: int) -> None:
    """Photos that were taken in this moment, over all slots, with an hour to go."""
    execute(url, QUEUED, count=count)
    execute(url, INPUTS)
    execute(url, "VACUUM (ANALYZE) job, job_input")


def add_finished(url: str, count: int) -> None:
    """Jobs of the days before, each with its input and its log; four a second, the last one a minute ago."""
    execute(url, FINISHED, count=count)
    execute(url, INPUTS)
    execute(url, LOGGED)
    execute(url, "VACUUM (ANALYZE) job, job_input, processing_log")
