"""The server's configuration, read once from the environment. Only `app` and commands read it, and pass values down.

SageMaker's own variables keep their names and meaning (sagemaker-inference-toolkit, parameters.py); ours are `ABSA_*`.
"""

import difflib
import math
import os
import re
import socket
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

JSON, JSON_LINES, CSV = "application/json", "application/jsonlines", "text/csv"
# Kubernetes sets these for each of its services; one may be called absa-something.
_KUBERNETES = re.compile(r"_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT(_\d+_(TCP|UDP)(_\w+)?)?$")
_S3_URI = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?")
LOG_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}

BATCH_PAYLOAD_MB = 100  # the most that CreateTransformJob sends in one request
UNLIMITED = sys.maxsize
# CloudWatch allows 30; each is repeated in every line.
MOST_DIMENSIONS = 8
# CloudWatch's rules, without its right to spaces; a value does not begin with a colon.
_DIMENSION = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}=[!-9;-~][!-~]{0,254}")
LEAST_BATCH_TOKENS = 64


class ConfigurationError(Exception):
    """The environment cannot be served with; each line of the message names one variable and what is wrong with it."""


def _level_name(value: object) -> object:
    """The SageMaker Python SDK passes levels as numeric strings ("20"); people write names."""
    text = str(value).strip().upper()
    return LOG_LEVELS.get(int(text), text) if text.isdigit() else text


def parse_dimensions(text: str) -> dict[str, str]:
    """The pairs of `Name=value,Name=value`. Raises ValueError telling what is wrong with them."""
    parts = text.split(",") if text else []
    bad = [part for part in parts if not _DIMENSION.fullmatch(part)]
    if bad:
        raise ValueError(f"expected Name=value of printable ASCII without spaces, got {bad[0]!r}")
    found = dict(part.split("=", 1) for part in parts)
    if len(found) < len(parts):
        raise ValueError("a name stands there twice")
    if len(found) > MOST_DIMENSIONS:
        raise ValueError(f"{len(found)} dimensions; {MOST_DIMENSIONS} are allowed")
    return found


def _dimensions_text(text: str) -> str:
    parse_dimensions(text)
    return text


class Settings(BaseSettings):
    """Every field says what raising or lowering it costs. Values are read from the variable of the field's alias."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=True, env_ignore_empty=True)

    host: str = Field("0.0.0.0", alias="ABSA_HOST")  # noqa: S104  SageMaker connects from outside the container
    port: int = Field(8080, alias="SAGEMAKER_BIND_TO_PORT", ge=1, le=65535)
    base_dir: Path = Field(Path("/opt/ml"), alias="SAGEMAKER_BASE_DIR")
    model_dir_override: Path | None = Field(None, alias="ABSA_MODEL_DIR")
    multi_model: bool = Field(default=False, alias="SAGEMAKER_MULTI_MODEL")
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_level_name)] = (
        Field("INFO", alias="SAGEMAKER_CONTAINER_LOG_LEVEL")
    )
    default_accept: str | None = Field(None, alias="SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT")

    # Batch transform: other defaults for body, records and time, which would cut a job's requests short.
    is_batch: bool = Field(default=False, alias="SAGEMAKER_BATCH")
    # Higher: larger uploads are read, and held in memory, before they are answered. Lower: callers split more. 0: no
    # limit, as batch transform sets it for bodies that it streams.
    max_payload_mb: int = Field(25, alias="SAGEMAKER_MAX_PAYLOAD_IN_MB", ge=0, le=1024)
    # Higher: fewer round trips, and one caller may keep the engine longer.
    max_records: int = Field(1000, alias="ABSA_MAX_RECORDS", ge=1)
    # Higher: longer documents in one piece; the time of one text grows with its windows (about 1 per 2,000 characters).
    max_text_chars: int = Field(20_000, alias="ABSA_MAX_TEXT_CHARS", ge=1)
    # Given aspects a text, and their occurrences in it. Higher: longer answers, and a row of the model for each.
    max_aspects: int = Field(100, alias="ABSA_MAX_ASPECTS", ge=1)

    # Seconds a request may take, waiting included. SageMaker itself gives up after 60.
    request_timeout_s: float = Field(
        60.0,
        validation_alias=AliasChoices("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "SAGEMAKER_MODEL_SERVER_TIMEOUT"),
        gt=0,
        le=3600,
    )
    # Higher: bursts wait instead of being refused with 429, and each waiting body stays in memory.
    max_pending_requests: int = Field(256, alias="ABSA_MAX_PENDING_REQUESTS", ge=1)
    # Streams: threads that tokenize, infer and decode; 0: one for each core this process may use (affinity, cgroup
    # quota). Higher: smaller batches side by side; above the cores, all of them slow down.
    inference_threads: int = Field(0, alias="ABSA_INFERENCE_THREADS", ge=0, le=64)
    # Threads of one forward pass; 0 divides the cores among the streams. Higher: one long request is answered sooner;
    # above the cores per stream, all of them slow down.
    engine_threads: int = Field(0, alias="ABSA_ENGINE_THREADS", ge=0, le=256)
    # Padded tokens of one forward pass, 64 or more; 0: 512 on a CPU, 16,384 on a GPU. Higher: better use of wide
    # machines, more memory, longer waits behind it.
    batch_tokens: int = Field(0, alias="ABSA_BATCH_TOKENS", ge=0)
    # MB of analyses kept for texts that come again; 0: none. Higher: fewer forward passes, that much more memory.
    result_cache_mb: int = Field(0, alias="ABSA_RESULT_CACHE_MB", ge=0, le=65536)
    # auto: torch on a GPU; else OpenVINO, and torch, with a warning, for what does not convert. openvino: the CPU, and
    # what does not convert is refused. torch: the GPU if there is one, else the CPU at a third of the speed.
    engine: Literal["auto", "openvino", "torch"] = Field("auto", alias="ABSA_ENGINE")
    # auto: int8 where the artifact brings it (on the CPU), bf16 where the CPU or the GPU has it in hardware, else f32.
    # bf16 moves one answer in 400, f32 none; int8 is served only as packed, with its measured cost.
    precision: Literal["auto", "f32", "bf16", "int8"] = Field("auto", alias="ABSA_PRECISION")
    # Models by name: s3://bucket/prefix or the absolute path of a folder, below which requests choose by
    # `parameters.model`. The container needs s3:GetObject and s3:ListBucket there.
    model_store: str | None = Field(None, alias="ABSA_MODEL_STORE")
    # Serves requests that name no model. Set: `/ping` waits for it, and it is never evicted.
    default_model: str | None = Field(None, alias="ABSA_DEFAULT_MODEL", max_length=1024)
    # Seconds after which a used model's version is looked up in the store again. Lower: a replaced model is noticed
    # sooner, for a request to the store for each model in use.
    model_ttl_s: float = Field(60.0, alias="ABSA_MODEL_TTL_S", gt=0, le=86_400)
    # Disk of all that lies in ABSA_CACHE_DIR: artifacts and networks together; 0 takes 80 % of its file system, at most
    # what is free. Higher: fewer models are fetched again; above what is there, others on the disk run out of it.
    disk_budget_mb: int = Field(0, alias="ABSA_DISK_BUDGET_MB", ge=0)
    # Where artifacts of the store and compiled networks are kept. On a file system in memory (tmpfs) their bytes count
    # as memory; in a folder that outlives the container, the next start fetches and converts nothing.
    cache_dir: Path = Field(Path(tempfile.gettempdir()) / "absa-cache", alias="ABSA_CACHE_DIR")
    # Memory and time of the process that converts a model without a compiled network. Higher: larger models convert;
    # lower: the server keeps more of the machine while it loads, and models above it run on torch.
    compile_memory_mb: int = Field(8192, alias="ABSA_COMPILE_MEMORY_MB", ge=256)
    compile_timeout_s: float = Field(300.0, alias="ABSA_COMPILE_TIMEOUT_S", gt=0, le=3600)

    # true: a model that does not give the answers that its packer stored in the artifact is refused, for a few forward
    # passes a load; false: all that is tried is whether it answers one sentence.
    self_test: bool = Field(default=False, alias="ABSA_SELF_TEST")

    # Every answer is kept under this s3://bucket/prefix; not set: none is. The container needs s3:PutObject there.
    results_s3_uri: str | None = Field(None, alias="ABSA_RESULTS_S3_URI", pattern=rf"^{_S3_URI.pattern}$")
    # The folder of answers not yet in S3. One that outlives the container loses none of them with it.
    results_spool_dir: Path = Field(Path(tempfile.gettempdir()) / "absa-results", alias="ABSA_RESULTS_SPOOL_DIR")
    # Higher: a longer outage of S3 loses nothing, and takes more disk (or memory, where the folder is on tmpfs).
    results_spool_mb: int = Field(256, alias="ABSA_RESULTS_SPOOL_MB", ge=1)
    # true: an answer that cannot be kept is not sent (503); false: it is sent, and counted as dropped.
    results_required: bool = Field(default=False, alias="ABSA_RESULTS_REQUIRED")
    # text: reviews themselves lie in the bucket; hash: only their SHA-256, which joins them to where they lie already.
    results_input: Literal["hash", "text"] = Field("hash", alias="ABSA_RESULTS_INPUT")
    # true: an artifact's own code/inference.py answers its requests, with all that this process may do.
    user_code: bool = Field(default=False, alias="ABSA_USER_CODE")
    # Memory of all loaded models together, where there are several; 0: 70 % of the container's memory beside 1 GiB.
    # Higher: more models; above what the container has, the kernel kills it instead of a load being refused with 507.
    memory_budget_mb: int = Field(0, alias="ABSA_MEMORY_BUDGET_MB", ge=0)
    # Seconds from one line of metrics for CloudWatch to the next (docs/metrics.md); 0: none. CloudWatch keeps one point
    # a minute: lower is not finer there, only more bytes of log; higher leaves minutes empty.
    emf_interval_s: int = Field(60, alias="ABSA_EMF_INTERVAL_S", ge=0, le=3600)
    # Where CloudWatch puts them; infra/dashboard.yaml looks there.
    emf_namespace: str = Field("ABSA", alias="ABSA_EMF_NAMESPACE", pattern=r"^[A-Za-z0-9._/#-]{1,255}$")
    # Name=value,Name=value: the same in every line, to tell endpoints and containers apart. CloudWatch bills each
    # combination of values as metrics of its own: nothing that changes belongs here.
    emf_dimensions: Annotated[str, AfterValidator(_dimensions_text)] = Field("", alias="ABSA_EMF_DIMENSIONS")
    # Models that metrics tell apart by name; those above it are counted together. Higher: more to look at, and some 16
    # billed metrics for each.
    metrics_models: int = Field(20, alias="ABSA_METRICS_MODELS", ge=0, le=1000)
    # Models loaded side by side. Higher: a crowd of cold models is there sooner, and takes more from those that serve.
    load_threads: int = Field(2, alias="ABSA_LOAD_THREADS", ge=1, le=64)

    @field_validator("default_accept")
    @classmethod
    def _is_writable(cls, value: str | None) -> str | None:
        if value is not None and value.strip().lower() not in {JSON, JSON_LINES, "application/x-ndjson", CSV}:
            raise ValueError(f"expected {JSON}, {JSON_LINES} or {CSV}, got {value!r}")
        return value

    @field_validator("model_store")
    @classmethod
    def _is_store(cls, value: str | None) -> str | None:
        if value is not None and not _S3_URI.fullmatch(value) and not value.startswith("/"):
            raise ValueError(f"expected s3://bucket/prefix or the absolute path of a folder, got {value!r}")
        return value

    @field_validator("default_model")
    @classmethod
    def _is_name(cls, value: str | None) -> str | None:
        if value is not None and ("\\" in value or {"", ".", ".."} & set(value.split("/"))):
            raise ValueError(f"expected a model's path relative to ABSA_MODEL_STORE, got {value!r}")
        return value

    @model_validator(mode="after")
    def _is_one_way_to_models(self) -> Self:
        if self.model_store is not None and self.multi_model:
            raise ValueError(
                "ABSA_MODEL_STORE and SAGEMAKER_MULTI_MODEL exclude each other: who loads models, we or "
                "the platform? Unset one of them"
            )
        if self.model_store is not None and self.model_dir_override is not None:
            raise ValueError("ABSA_MODEL_STORE and ABSA_MODEL_DIR exclude each other: unset one of them")
        if self.default_model is not None and self.model_store is None:
            raise ValueError("ABSA_DEFAULT_MODEL names a model of ABSA_MODEL_STORE, which is not set")
        return self

    @field_validator("emf_namespace")
    @classmethod
    def _is_ours(cls, value: str) -> str:
        if value.startswith("AWS/"):
            raise ValueError("namespaces that begin with AWS/ are AWS's own")
        return value

    @field_validator("batch_tokens")
    @classmethod
    def _is_budget(cls, value: int) -> int:
        if 0 < value < LEAST_BATCH_TOKENS:
            raise ValueError(f"expected 0 or at least {LEAST_BATCH_TOKENS}, got {value}")
        return value

    @field_validator("host")
    @classmethod
    def _is_address(cls, value: str) -> str:
        try:
            socket.getaddrinfo(value, None)
        except OSError as error:
            raise ValueError(f"expected an address or a host name of this machine, got {value!r} ({error})") from error
        return value

    @property
    def model_dir(self) -> Path:
        """Where the one artifact lies: `ABSA_MODEL_DIR`, else `/opt/ml/model`."""
        return self.model_dir_override or self.base_dir / "model"

    @property
    def max_payload_bytes(self) -> int:
        """Largest request body, in bytes; in batch transform 100 MB unless set."""
        size_mb = BATCH_PAYLOAD_MB if self._is_left_to_batch("max_payload_mb") else self.max_payload_mb
        return size_mb * 1024 * 1024 or UNLIMITED

    @property
    def record_limit(self) -> int:
        """Most records of one request; in batch transform as many as come, unless set."""
        return UNLIMITED if self._is_left_to_batch("max_records") else self.max_records

    @property
    def deadline_s(self) -> float:
        """Seconds that a request may take; in batch transform the platform alone measures them, unless set."""
        return math.inf if self._is_left_to_batch("request_timeout_s") else self.request_timeout_s

    def _is_left_to_batch(self, field: str) -> bool:
        return self.is_batch and field not in self.model_fields_set


def _aliases() -> list[list[str]]:
    """For each field the variables it is read from; the first that is set counts."""
    found = [field.validation_alias for field in Settings.model_fields.values()]
    return [[str(name) for name in (one.choices if isinstance(one, AliasChoices) else [one])] for one in found]


def variable_names() -> list[str]:
    """Every environment variable that is read, in the order of the fields."""
    return [name for names in _aliases() for name in names]


def read_settings() -> Settings:
    """The settings of this process. Raises `ConfigurationError` naming each bad variable and each unknown `ABSA_*`."""
    problems = [_unknown(name) for name in sorted(os.environ) if _is_unknown(name)]
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [_problem(found) for found in error.errors()]
        settings = None
    if settings is None or problems:
        raise ConfigurationError("\n".join(problems))
    return settings


def _is_unknown(name: str) -> bool:
    return name.startswith("ABSA_") and name not in variable_names() and not _KUBERNETES.search(name)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, variable_names(), n=1)
    return f"{name}: no such variable" + (f"; did you mean {near[0]}?" if near else "")


def _problem(found: ErrorDetails) -> str:
    """One line: the variable that was set, its value, and what pydantic says of it."""
    if not found["loc"]:  # of several together: the message names them
        return found["msg"].removeprefix("Value error, ")
    aliases = next(names for names in _aliases() if found["loc"][0] in names)
    name = next((alias for alias in aliases if os.environ.get(alias)), aliases[0])
    return f"{name}={os.environ.get(name, '')!r}: {found['msg']}"
