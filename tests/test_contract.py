"""`api/openapi.yaml` and the code say the same."""

from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.app import ROUTES
from api.contract import document
from photochanger import __version__
from photochanger.errors import Failure, Refusal
from tests.booths import photo_bytes, post_photo
from tests.results import finished_job, queued_job
from tests.serving import Api


def schema(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}", "components": document()["components"]}


def check(body: Any, name: str) -> None:
    Draft202012Validator(schema(name), format_checker=OAS31Validator.FORMAT_CHECKER).validate(body)


def test_the_contract_is_valid_openapi() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []


def test_the_contract_has_this_releases_version() -> None:
    assert document()["info"]["version"] == __version__


def test_every_route_is_in_the_contract_and_the_other_way_round() -> None:
    served = {
        (route.path.replace(":path}", "}"), method)
        for route in ROUTES
        for method in (route.methods or ())
        if method != "HEAD"
    }
    promised = {
        (path, method.upper())
        for path, item in document()["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert served == promised


def test_every_failure_is_in_the_contract_with_its_shape() -> None:
    assert {failure.code for failure in Failure} == set(document()["components"]["schemas"]["FailureReason"]["enum"])
    for failure in Failure:
        check(Refusal(failure, job_id="0" * 32, retry_after_seconds=1).body(), "Refusal")


def test_every_status_of_a_failure_of_ingest_is_promised() -> None:
    promised = document()["paths"]["/ingest/{slot_id}"]["post"]["responses"]
    others = {"job_not_found", "result_not_found", "media_not_found", "not_found", "method_not_allowed"}
    others |= {"result_expired", "media_expired", "photo_gone", "login_required", "invalid_credentials", "forbidden"}
    others |= {"version_conflict", "job_open", "template_in_use", "validation_failed", "too_many_attempts"}
    assert {str(failure.status) for failure in Failure if failure.code not in others} <= set(promised)


@pytest.mark.anyio
async def test_answers_have_the_promised_shapes(api: Api, http: httpx.AsyncClient) -> None:
    served = await http.get(f"{api.url}/api/openapi.json")
    assert served.json() == document()
    check((await post_photo(http, api.url, photo_bytes(), hash_="0")).json(), "Refusal")
    for job_id in (await queued_job(api), (await finished_job(api))[0]):
        check((await http.get(f"{api.url}/api/jobs/{job_id}")).json(), "Job")
