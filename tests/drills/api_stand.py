"""What the API's drill runs on: an S3, local-sagemaker, a scripted runtime, and a function for each endpoint."""

import sys
import tarfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.drills.platform import ROOT, container, images
from tests.infra.invoke_lambda.function_environment import environment
from tests.infra.invoke_lambda.function_process import FunctionProcess, function
from tests.infra.invoke_lambda.object_store import ObjectStore, object_store
from tests.infra.invoke_lambda.platform_process import local_sagemaker
from tests.infra.invoke_lambda.scripted_runtime import ScriptedRuntime, scripted_runtime
from tests.integration.server_process import cache_folder, free_port
from tests.local_sagemaker.stand import configuration

SCRIPTED = ROOT / "tests" / "infra" / "invoke_lambda" / "scripted_container.py"
MODEL = "shop.tar.gz"
# Short, so that a silent endpoint is given up after 1 s: the function asks its context.
IMPATIENT = ("--timeout-s", "5")


@dataclass(frozen=True)
class Stand:
    """`functions` by what is behind them: real servers (`single`, `async`, `multi-model`), then what is scripted."""

    store: ObjectStore
    runtime: ScriptedRuntime
    functions: Mapping[str, FunctionProcess]


@contextmanager
def stand(models: Path, work: Path, *, threads: str = "", is_small: bool = False) -> Iterator[Stand]:
    """Everything in service. `is_small`: one real server, and scripted containers in the place of the other two."""
    with ExitStack() as stack:
        store = stack.enter_context(object_store())
        runtime = stack.enter_context(scripted_runtime())
        _put_models(store, models, work)
        url = stack.enter_context(
            local_sagemaker(_endpoints(models, store, threads, is_small=is_small), work, store.environment)
        )
        nobody = f"http://127.0.0.1:{free_port()}"

        def start(address: str, *options: str, s3: Mapping[str, str] = store.environment, **parameters: str) -> Any:
            buckets = {"ArtifactsBucket": store.bucket, "ResultsBucket": store.bucket}
            given = environment(**(buckets | parameters)) | s3 | {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": address}
            return function(given, *options)

        scripted_s3 = {"AWS_ENDPOINT_URL_S3": runtime.url}
        functions = {
            "single": start(url, "--validates", EndpointName="single"),
            "async": start(url, EndpointName="jobs", Shape="async"),
            "multi-model": start(url, EndpointName="models", Shape="multi-model"),
            "container": start(url, EndpointName="scripted"),
            "missing": start(url, EndpointName="none"),
            "runtime": start(runtime.url, "--is-binary", *IMPATIENT, s3=scripted_s3),
            "runtime async": start(runtime.url, *IMPATIENT, s3=scripted_s3, Shape="async"),
            "nobody": start(nobody),
        }
        with ThreadPoolExecutor(len(functions)) as pool:
            started = dict(zip(functions, pool.map(stack.enter_context, functions.values()), strict=True))
        yield Stand(store, runtime, started)


def _put_models(store: ObjectStore, models: Path, work: Path) -> None:
    """One artifact below the models' prefix, and beside it what is none."""
    file = work / MODEL
    with tarfile.open(file, "w:gz", compresslevel=1) as archive:
        for name in ("aspect", "sentiment"):
            archive.add(models / name, arcname=name)
    store.put(f"models/all/{MODEL}", file.read_bytes())
    store.put("models/all/old/shop.tar.gz", b"not asked for")
    store.put("models/all/README", b"no model")


def _endpoints(models: Path, store: ObjectStore, threads: str, *, is_small: bool) -> dict[str, Any]:
    kinds = images(threads)
    kinds["absa"]["Environment"]["ABSA_CACHE_DIR"] = cache_folder()
    kinds["scripted"] = {"Command": [sys.executable, str(SCRIPTED)]}
    prefix, other = f"s3://{store.bucket}", {"Image": "scripted" if is_small else "absa"}
    described = configuration(
        kinds,
        [
            {"ModelName": "single", "PrimaryContainer": container(models)},
            {"ModelName": "jobs", "PrimaryContainer": container(models) | other},
            {
                "ModelName": "models",
                "PrimaryContainer": other | {"Mode": "MultiModel", "ModelDataUrl": f"{prefix}/models/all/"},
            },
            {"ModelName": "scripted", "PrimaryContainer": {"Image": "scripted"}},
        ],
    )
    answers = f"{prefix}/jobs/answers/"
    (config,) = (one for one in described["EndpointConfigs"] if one["EndpointConfigName"] == "jobs")
    config["AsyncInferenceConfig"] = {"OutputConfig": {"S3OutputPath": answers, "S3FailurePath": answers}}
    return described
