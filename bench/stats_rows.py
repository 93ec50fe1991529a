"""A month of a busy studio by SQL: jobs that were done, failed or timed out, and their attempts; and rolled years."""

from bench.database import execute
from bench.queue_rows import FIELDS, SNAPSHOT
from photochanger import histogram

DAYS = 30
REASONS = "(ARRAY['no_image', 'content_blocked', 'quota', 'invalid_image'])"

JOBS = f"""
    INSERT INTO job (job_id, source, slot_id, provider, status, claim_number, attempt, max_attempts, created_at,
                     expires_at, start_by, run_after, finished_at, failure_reason, result_path, preview_path,
                     result_mime, result_bytes, result_sha256, result_expires_at)
    SELECT id, CASE WHEN mod(number, 50) = 0 THEN 'ui_test' ELSE 'ingest' END,
           'slot-' || lpad((1 + mod(number, 15))::text, 3, '0'), provider, status, 1, 1, 2, at, at + interval '48 s',
           at + interval '46 s', at, at + seconds * interval '1 s',
           CASE status WHEN 'timeout' THEN 'timeout' WHEN 'failed' THEN {REASONS}[1 + mod(number, 4)] END,
           CASE WHEN kept THEN 'results/' || name || '.jpg' END, CASE WHEN kept THEN 'previews/' || name || '.webp' END,
           CASE WHEN status = 'done' THEN 'image/jpeg' END, CASE WHEN status = 'done' THEN 400000 END,
           CASE WHEN status = 'done' THEN sha256(name::bytea) END,
           CASE WHEN status = 'done' THEN at + interval '72 h' END
    FROM (SELECT *, replace(id::text, '-', '') AS name, status = 'done' AND at > now() - interval '72 h' AS kept,
                 CASE WHEN status = 'timeout' THEN 48.0 ELSE 5 + random() * 30 END AS seconds
          FROM (SELECT gen_random_uuid() AS id, number, now() - interval '1 minute'
                           - (%(count)s::int - number) * interval '{DAYS} days' / %(count)s::int AS at,
                       CASE WHEN mod(number, 5) = 0 THEN 'turbotext' ELSE 'gemini' END AS provider,
                       CASE WHEN mod(number, 20) = 7 THEN 'failed' WHEN mod(number, 33) = 5 THEN 'timeout'
                            ELSE 'done' END AS status
                FROM generate_series(1, %(count)s::int) AS number) AS drawn) AS made
"""
INPUTS = f"""
    INSERT INTO job_input (job_id, slot_id, slot_version, snapshot, booth_fields, photo_path, photo_mime, photo_bytes,
                           photo_width, photo_height, photo_sha256, created_at)
    SELECT job_id, slot_id, 1, {SNAPSHOT}, {FIELDS}, 'ingest/' || replace(job_id::text, '-', ''), 'image/jpeg',
           2000000, 3264, 2448, sha256(job_id::text::bytea), created_at
    FROM job ORDER BY created_at
"""
ATTEMPTS = """
    INSERT INTO job_attempt (job_id, number, provider, model, started_at, finished_at, outcome, http_status, cost_usd)
    SELECT job_id, number, provider,
           CASE WHEN provider = 'turbotext' THEN provider WHEN slot_id < 'slot-005' THEN 'gemini-3-pro-image'
                ELSE 'gemini-nano-banana-2.1' END,
           created_at, CASE WHEN status <> 'timeout' THEN finished_at END,
           CASE WHEN status = 'done' AND number = tried THEN 'ok' WHEN status <> 'timeout' THEN 'no_image' END,
           200, CASE WHEN status <> 'timeout' AND provider = 'gemini' THEN 0.0336 END
    FROM (SELECT *, 1 + (get_byte(uuid_send(job_id), 3) < 20)::int AS tried FROM job) AS jobs,
         generate_series(1, tried) AS number ORDER BY created_at
"""


YEARS = f"""
    INSERT INTO hourly_figure (hour, slot_id, source, provider, jobs, done, timeouts, failed, provider_errors,
                               seconds_histogram)
    SELECT date_trunc('hour', now(), 'UTC') - interval '{DAYS + 1} days' - number * interval '1 hour', slot_id,
           'ingest', 'gemini', 90, 90, 0, 0, 0, array_fill(3, ARRAY[{histogram.BUCKETS}])
    FROM generate_series(1, %(hours)s::int) AS number, slot
"""


def add_month(url: str, count: int) -> None:
    """So many jobs over 30 days up to a minute ago, each with its input and attempts; none of them rolled."""
    execute(url, JOBS, count=count)
    execute(url, INPUTS)
    execute(url, ATTEMPTS)
    execute(url, "VACUUM (ANALYZE) job, job_input, job_attempt")


def add_years(url: str, years: int) -> None:
    """Rolled hours of the time before, with every slot busy day and night; and the watermark moves."""
    execute(url, YEARS, hours=years * 365 * 24)
    execute(url, "UPDATE hourly_watermark SET rolled_until = rolled_until - interval '1 hour'")
    execute(url, "VACUUM (ANALYZE) hourly_figure")
