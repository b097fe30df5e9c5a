"""What the template tells the function by environment variables. Bad values stop the start and name the variable."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Shape = Literal["single", "multi-model", "pipeline", "pipeline-multi-model", "async"]
_S3_FOLDER = r"^(s3://[^/]+/(.*/)?)?$"


class Settings(BaseModel):
    """The variables of infra/api.yaml that are not Powertools' own."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    endpoint_name: str = Field(alias="ENDPOINT_NAME", min_length=1, max_length=63)
    shape: Shape = Field(alias="SHAPE")
    # Listed by GET /v1/models; names of models are relative to the prefix.
    artifacts_bucket: str = Field(alias="ARTIFACTS_BUCKET", min_length=3)
    artifacts_prefix: str = Field(alias="ARTIFACTS_PREFIX", pattern=r"^(.*/)?$")
    # The async shape alone has them: questions are put below the one, SageMaker puts answers below the other.
    async_input_uri: str = Field("", alias="ASYNC_INPUT_URI", pattern=_S3_FOLDER)
    async_output_uri: str = Field("", alias="ASYNC_OUTPUT_URI", pattern=_S3_FOLDER)
    # Part of every ETag: another one for each release of the models, or old answers are confirmed.
    release: str = Field(alias="RELEASE", min_length=1)
    function_version: str = Field("", alias="AWS_LAMBDA_FUNCTION_VERSION")

    @property
    def is_async(self) -> bool:
        """Whether the endpoint answers jobs, and jobs only."""
        return self.shape == "async"

    @property
    def is_multi_model(self) -> bool:
        """Whether each request names its model."""
        return self.shape in ("multi-model", "pipeline-multi-model")


class BadSettings(Exception):
    """The message names each variable."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings. Raises `BadSettings`."""
    try:
        settings = Settings.model_validate(dict(environment))
    except ValidationError as error:
        said = [f"{found['loc'][0]}: {found['msg']}" for found in error.errors(include_input=False)]
        raise BadSettings("; ".join(said)) from None
    if settings.is_async and not (settings.async_input_uri and settings.async_output_uri):
        raise BadSettings("ASYNC_INPUT_URI, ASYNC_OUTPUT_URI: expected s3://bucket/folder/ with SHAPE async, got none")
    return settings
