"""The layers of docs/architecture.md, held by reading every import of the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "absa_server"

# What each part may import of this project. Higher may import lower; parts of one layer do not know each other.
ALLOWED = {
    "types": set(),
    "errors": set(),
    "settings": set(),
    "absa": {"types", "errors"},
    "engines": {"types", "errors"},
    "telemetry": {"types", "errors"},
    "user_code": {"types", "errors"},
    "serving": {"types", "errors", "absa", "engines", "telemetry", "user_code", "model_loader"},
    "http": {"types", "errors", "absa", "serving", "telemetry", "user_code"},
    # Held-out reviews are scored by the very pipeline that will serve the models.
    "training": {"types", "errors", "absa", "engines", "model_loader", "serving"},
    # Artifacts are asked, measured and opened again by what will serve them.
    "packaging": {"types", "errors", "absa", "engines", "serving", "model_loader"},
    # Measuring and planning look at a server from outside: by URL, process id and a JSON document.
    "benchmark": {"types", "errors"},
    "capacity": {"types", "errors"},
    "assembly": {"types", "errors", "settings", "absa", "engines", "telemetry", "serving", "http", "model_loader"},
    "app": {"settings", "telemetry", "http", "assembly", "engines", "serving"},
    "worker": set(),
    "gunicorn_conf": {"settings", "telemetry", "worker"},
    # Around the container, never in it.
    "cloud": {"types", "errors"},
    "commands": {
        *("types", "errors", "settings", "training", "gunicorn_conf", "benchmark", "capacity", "cloud", "packaging"),
        # `absa doctor` opens an artifact with the very code that will serve it (commands/artifact_opening.py, alone).
        *("serving", "engines", "model_loader"),
    },
    "cli": {"commands"},
    "model_loader": set(),
}
HEAVY = {"torch", "transformers"}
HEAVY_AT_HOME = {"engines", "training"}
AWS = {"boto3", "botocore"}
# What talks to S3, and all of cloud/.
AWS_AT_HOME = {"cloud", "s3_bucket", "s3_client", "s3_errors", "s3_upload", "uploader"}


def part_of(file: Path) -> str:
    if file.is_relative_to(ROOT / "model_loader"):
        return "model_loader"
    inside = file.relative_to(SOURCE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def sources() -> list[Path]:
    files = [*SOURCE.rglob("*.py"), *(ROOT / "model_loader").rglob("*.py")]
    return [file for file in files if file != SOURCE / "__init__.py"]


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield node.module or ""


@pytest.mark.parametrize("file", sources(), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_obey_the_layers(file):
    """A module imports only what stands below its own part."""
    own = part_of(file)
    for name in imports(file):
        top, *rest = name.split(".")
        other = rest[0] if top == "absa_server" and rest else top if top == "model_loader" else own
        assert other == own or other in ALLOWED[own], f"{own} must not import {name}"


def test_one_command_module_runs_the_serving_code():
    """Only the seam of `absa doctor` reaches into what serves; every other command looks from outside."""
    serving = ("absa_server.serving", "absa_server.engines")
    files = [file for file in sources() if part_of(file) == "commands"]
    reaching = {file.name for file in files if any(name.startswith(serving) for name in imports(file))}
    assert reaching == {"artifact_opening.py"}


@pytest.mark.parametrize("file", sources(), ids=lambda file: str(file.relative_to(ROOT)))
def test_heavy_and_aws_libraries_stay_at_home(file):
    """torch and transformers are imported in engines/ and training/ alone, the AWS SDK in few named modules."""
    tops = {name.split(".")[0] for name in imports(file)}
    assert {file.stem, part_of(file)} & AWS_AT_HOME or not tops & AWS
    assert part_of(file) in HEAVY_AT_HOME or not tops & HEAVY


def test_nncf_is_imported_by_the_quantizing_process_alone():
    """Neither the server nor the packing process ever loads it."""
    importers = {file.name for file in sources() if "nncf" in {name.split(".")[0] for name in imports(file)}}
    assert importers == {"quantize.py"}


def test_domain_and_http_import_no_torch():
    """Importing the application, whole, loads neither torch nor transformers; a model that needs them does."""
    code = "import sys, absa_server.app, absa_server.cli; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_local_platform_and_server_do_not_know_each_other():
    """local_sagemaker plays the platform for any container: neither side imports anything of the other."""
    platform = list((ROOT / "src" / "local_sagemaker").rglob("*.py"))
    assert platform
    for files, stranger in ((platform, {"absa_server", "model_loader"}), (sources(), {"local_sagemaker"})):
        for file in files:
            assert not {name.split(".")[0] for name in imports(file)} & stranger, file


def test_every_part_is_placed():
    """A new package or module has to be given its layer here."""
    assert {part_of(file) for file in sources()} <= set(ALLOWED)
