"""CreateTransformJob to a job. Each value is what the API says, or what the container is asked for later: None.

Knows no process and no record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from local_sagemaker.definitions import ModelDefinition
from local_sagemaker.documents import absolute, check_document
from local_sagemaker.errors import ConfigurationError

Strategy = Literal["MultiRecord", "SingleRecord"]
MAX_TOTAL_MB = 100


@dataclass(frozen=True, slots=True)
class TransformJob:
    """One job. `strategy`, `max_payload_mb` and `max_concurrent` are None where the container may choose."""

    name: str
    model: ModelDefinition
    input_uri: str
    content_type: str | None
    is_split: bool
    output_path: str
    accept: str | None
    is_assembled_by_line: bool
    strategy: Strategy | None
    max_payload_mb: int | None
    max_concurrent: int | None
    environment: Mapping[str, str]
    is_joined: bool = False
    input_filter: str = "$"
    output_filter: str = "$"
    timeout_s: float = 600.0
    max_retries: int = 3


def parse_job(document: Mapping[str, Any], models: Mapping[str, ModelDefinition], *, folder: Path) -> TransformJob:
    """The job that the document of CreateTransformJob describes. Raises `ConfigurationError`."""
    check_document("CreateTransformJob", document)
    name, model_name = document["TransformJobName"], document["ModelName"]
    if model_name not in models:
        raise ConfigurationError(f"CreateTransformJob {name}: ModelName: expected one of Models, got {model_name}")
    given, output = document["TransformInput"], document["TransformOutput"]
    processing, client = document.get("DataProcessing", {}), document.get("ModelClientConfig", {})
    job = TransformJob(
        name=name,
        model=models[model_name],
        input_uri=absolute(_input_uri(given, name), folder),
        content_type=given.get("ContentType"),
        is_split=given.get("SplitType", "None") != "None",
        output_path=absolute(output["S3OutputPath"], folder),
        accept=output.get("Accept"),
        is_assembled_by_line=output.get("AssembleWith", "None") == "Line",
        strategy=document.get("BatchStrategy"),
        max_payload_mb=document.get("MaxPayloadInMB"),
        max_concurrent=document.get("MaxConcurrentTransforms") or None,
        environment=document.get("Environment", {}),
        is_joined=processing.get("JoinSource", "None") == "Input",
        input_filter=processing.get("InputFilter", "$"),
        output_filter=processing.get("OutputFilter", "$"),
        timeout_s=float(client.get("InvocationsTimeoutInSeconds", 600)),
        max_retries=client.get("InvocationsMaxRetries", 3),
    )
    _check(job, given.get("SplitType", "None"))
    return job


def _input_uri(given: Mapping[str, Any], name: str) -> str:
    if given.get("CompressionType", "None") != "None":
        raise ConfigurationError(f"CreateTransformJob {name}: CompressionType: not played here")
    source = given["DataSource"]["S3DataSource"]
    if source["S3DataType"] != "S3Prefix":
        raise ConfigurationError(
            f"CreateTransformJob {name}: S3DataType: expected S3Prefix, others are not played here"
        )
    return str(source["S3Uri"])


def _check(job: TransformJob, split_type: str) -> None:
    place = f"CreateTransformJob {job.name}"
    if split_type not in ("None", "Line"):
        raise ConfigurationError(f"{place}: SplitType: expected None or Line, got {split_type}: not played here")
    if job.model.is_multi_model or job.model.is_direct:
        raise ConfigurationError(f"{place}: expected a model that is neither multi-model nor in direct mode")
    if (job.max_payload_mb or 0) * (job.max_concurrent or 1) > MAX_TOTAL_MB:
        raise ConfigurationError(
            f"{place}: expected MaxConcurrentTransforms x MaxPayloadInMB of at most {MAX_TOTAL_MB}, "
            f"got {job.max_concurrent} x {job.max_payload_mb}"
        )
    is_by_line = job.is_split and job.is_assembled_by_line
    if (job.is_joined or job.output_filter != "$" or job.input_filter != "$") and not is_by_line:
        raise ConfigurationError(f"{place}: DataProcessing: expected SplitType and AssembleWith Line with it")
