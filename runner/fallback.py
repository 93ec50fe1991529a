"""A slot's fallback: another provider, operation and settings, for the time that is left when its own has failed."""

from dataclasses import dataclass

from photochanger.job import Job
from runner.workshop import Workshop


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """What the queue needs to know of it."""

    provider: str
    attempts: int
    least_seconds: float


def fallback_for(shop: Workshop, job: Job, *, seconds_left: float) -> Fallback | None:
    """The fallback, if the slot has one, the job is not on it already, and its usual time still fits."""
    plan = job.snapshot.get("fallback")
    if plan is None or job.on_fallback:
        return None
    try:
        provider, operation = shop.providers.get(plan["provider"], plan["operation"])
    except KeyError:
        return None
    model = shop.models.current(provider, plan["settings"])
    if not operation.enabled or model.usual_seconds > seconds_left:
        return None
    return Fallback(
        provider=provider.name,
        attempts=1 + plan["settings"].get("retries", 1),
        least_seconds=model.least_seconds,
    )
