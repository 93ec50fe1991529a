"""The statistics as JSON. Seconds to a hundredth, dollars to a millionth, shares to a ten-thousandth."""

from decimal import Decimal
from typing import Any

from starlette.requests import Request

from api.bodies import moment
from api.state import public_url
from photochanger.budgets import Budget
from photochanger.daily_limits import DailyLimit
from photochanger.overview import Overview, SlotOverview, Storage
from photochanger.recent_results import RecentResult
from photochanger.stats import Point, ProviderSums, SlotSums, Statistics, Sums
from photochanger.tally import JobTally

MEGABYTE = 1024 * 1024


def overview_body(found: Overview, budgets: list[Budget], *, minutes: int) -> dict[str, Any]:
    """`GET /api/stats/overview`."""
    return {
        "window_minutes": minutes,
        "from": moment(found.window.span.start),
        "until": moment(found.window.span.until),
        "system": {
            "jobs_total": found.jobs_total,
            **_last_window(found.jobs),
            "in_work": sum(slot.queued_now + slot.in_work_now for slot in found.slots),
            "runners_alive": found.runners_alive,
            "storage_usage_mb": _megabytes(found.storage.media_bytes) or 0.0,
            "disk_free_mb": _megabytes(found.storage.disk_free_bytes),
            "disk_total_mb": _megabytes(found.storage.disk_total_bytes),
            "storage_measured_at": moment(found.storage.measured_at),
        },
        "slots": [_slot_overview(slot) for slot in found.slots],
        "test_runs": _counts(found.test_runs),
        "budgets": [_budget(budget) for budget in budgets],
    }


def _slot_overview(slot: SlotOverview) -> dict[str, Any]:
    return {
        "slot_id": slot.slot_id,
        "display_name": slot.display_name,
        "is_active": slot.is_active,
        **_last_window(slot.jobs),
        "queued": slot.queued_now,
        "in_work": slot.in_work_now,
        "last_success_at": moment(slot.last_success_at),
        "last_error_at": moment(slot.last_error_at),
        "last_error_reason": slot.last_error_reason,
    }


def _last_window(jobs: JobTally) -> dict[str, Any]:
    return {
        "jobs_last_window": jobs.jobs,
        "ok_last_window": jobs.done,
        "timeouts_last_window": jobs.timeouts,
        "errors_last_window": jobs.failed,
        "provider_errors_last_window": jobs.provider_errors,
        "success_share": _share(jobs.success_share),
        "p50_seconds": _seconds(jobs.p50_seconds),
        "p95_seconds": _seconds(jobs.p95_seconds),
    }


def global_body(
    found: Statistics, budgets: list[Budget], limits: list[DailyLimit], storage: Storage, *, minutes: int, zone: str
) -> dict[str, Any]:
    """`GET /api/stats/global`."""
    return {
        **_statistics(found, minutes=minutes, zone=zone),
        "slots": [_slot(slot) for slot in found.slots],
        "budgets": [_budget(budget) for budget in budgets],
        "daily_limits": [_daily_limit(limit) for limit in limits],
        "storage": {
            "usage_mb": _megabytes(storage.media_bytes),
            "disk_free_mb": _megabytes(storage.disk_free_bytes),
            "disk_total_mb": _megabytes(storage.disk_total_bytes),
            "measured_at": moment(storage.measured_at),
        },
    }


def slot_body(
    request: Request, found: Statistics, results: list[RecentResult], *, minutes: int, zone: str
) -> dict[str, Any]:
    """`GET /api/stats/{slot_id}`."""
    (slot,) = found.slots
    return {
        "slot_id": slot.slot_id,
        "display_name": slot.display_name,
        "is_active": slot.is_active,
        **_statistics(found, minutes=minutes, zone=zone),
        "last_results": [_result(request, result) for result in results],
    }


def _statistics(found: Statistics, *, minutes: int, zone: str) -> dict[str, Any]:
    return {
        "window_minutes": minutes,
        "from": moment(found.window.span.start),
        "until": moment(found.window.span.until),
        "timezone": zone,
        "bucket_seconds": int(found.window.step.total_seconds()),
        "exact_percentiles": found.window.exact,
        "totals": _sums(found.total),
        "series": [_point(point) for point in found.series],
        "reasons": [{"failure_reason": reason, "jobs": jobs} for reason, jobs in found.total.jobs.reasons.items()],
        "providers": [_provider(provider) for provider in found.providers],
        "test_runs": {**_counts(found.test_runs.jobs), "cost_usd": _usd(found.test_runs.attempts.cost_usd)},
    }


def _counts(jobs: JobTally) -> dict[str, Any]:
    return {"jobs": jobs.jobs, "ok": jobs.done, "timeouts": jobs.timeouts, "errors": jobs.failed}


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        **_counts(sums.jobs),
        "provider_errors": sums.jobs.provider_errors,
        "in_work": sums.jobs.in_work,
        "success_share": _share(sums.jobs.success_share),
        "p50_seconds": _seconds(sums.jobs.p50_seconds),
        "p95_seconds": _seconds(sums.jobs.p95_seconds),
        "attempts": sums.attempts.attempts,
        "attempts_failed": sums.attempts.failed,
        "repeats": sums.attempts.repeats,
        "attempts_per_job": None if sums.attempts_per_job is None else round(sums.attempts_per_job, 3),
        "cost_usd": _usd(sums.attempts.cost_usd),
        "cost_per_photo_usd": None if sums.cost_per_photo_usd is None else _usd(sums.cost_per_photo_usd),
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "at": moment(point.at),
        **_counts(point.sums.jobs),
        "p50_seconds": _seconds(point.sums.jobs.p50_seconds),
        "p95_seconds": _seconds(point.sums.jobs.p95_seconds),
        "cost_usd": _usd(point.sums.attempts.cost_usd),
    }


def _provider(provider: ProviderSums) -> dict[str, Any]:
    attempts = provider.attempts
    return {
        "provider": provider.provider,
        "model": provider.model,
        "attempts": attempts.attempts,
        "failed": attempts.failed,
        "p50_seconds": _seconds(attempts.p50_seconds),
        "p95_seconds": _seconds(attempts.p95_seconds),
        "cost_usd": _usd(attempts.cost_usd),
    }


def _slot(slot: SlotSums) -> dict[str, Any]:
    described = {"slot_id": slot.slot_id, "display_name": slot.display_name, "is_active": slot.is_active}
    return {**described, **_sums(slot.sums)}


def _budget(budget: Budget) -> dict[str, Any]:
    return {
        "provider": budget.provider,
        "usd_spent": _usd(budget.usd_spent),
        "usd_limit": _usd(budget.usd_limit),
        "share": _share(budget.share),
        "state": budget.state,
        "stop": budget.stop,
    }


def _daily_limit(limit: DailyLimit) -> dict[str, Any]:
    return {
        "provider": limit.provider,
        "per_day": limit.per_day,
        "used_today": limit.used_today,
        "last_hour": limit.last_hour,
        "day_ends_at": moment(limit.day_ends_at),
        "reaches_limit_at": moment(limit.reaches_limit_at),
    }


def _result(request: Request, result: RecentResult) -> dict[str, Any]:
    link = public_url(request, f"/public/results/{result.job_id}")
    return {
        "job_id": result.job_id,
        "created_at": moment(result.created_at),
        "finished_at": moment(result.finished_at),
        "seconds": _seconds((result.finished_at - result.created_at).total_seconds()),
        "result_url": link,
        "preview_url": f"{link}/preview",
        "result_expires_at": moment(result.expires_at),
    }


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


def _share(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def _usd(usd: Decimal) -> float:
    return float(round(usd, 6))


def _megabytes(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else round(size_bytes / MEGABYTE, 1)
