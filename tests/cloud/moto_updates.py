"""`UpdateEndpoint` for moto, which lacks it: another configuration, and the old capacity if told to keep it."""

from typing import Any

import pytest
from moto.core.responses import ActionResult
from moto.sagemaker.models import FakeEndpoint, SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse


def update_endpoint(backend: SageMakerModelBackend, name: str, config_name: str, *, retain: bool) -> FakeEndpoint:
    """What the platform does, at once. Unknown names are refused as `create_endpoint` refuses them."""
    backend.describe_endpoint(name)
    before = backend.endpoints[name]
    counts = {each["VariantName"]: each["CurrentInstanceCount"] for each in before.production_variants}
    updated = backend.create_endpoint(name, config_name, before.tags)
    if retain:
        for each in updated.production_variants:
            each["CurrentInstanceCount"] = counts.get(each["VariantName"], each["CurrentInstanceCount"])
    return updated


def _answer(response: Any) -> ActionResult:
    endpoint = update_endpoint(
        response.sagemaker_backend,
        response._get_param("EndpointName"),
        response._get_param("EndpointConfigName"),
        retain=bool(response._get_param("RetainAllVariantProperties")),
    )
    return ActionResult({"EndpointArn": endpoint.arn})


def add_update_endpoint(patch: pytest.MonkeyPatch) -> None:
    """Moto answers `UpdateEndpoint` until the patch is undone."""
    patch.setattr(SageMakerResponse, "update_endpoint", _answer, raising=False)
