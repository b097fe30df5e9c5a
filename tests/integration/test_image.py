"""What the files that make the container image must hold, for every builder and for SageMaker. `absa smoke` runs it."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
BUILDKIT_ONLY = [r"^RUN .*--mount", r"<<-?['\"]?[A-Z]+", r"^COPY .*--link", r"^(COPY|ADD) .*--chmod"]


@pytest.mark.parametrize("feature", BUILDKIT_ONLY)
def test_dockerfile_builds_with_the_classic_builder(feature):
    """Nothing that only BuildKit understands."""
    assert re.search(feature, DOCKERFILE, re.MULTILINE) is None


@pytest.mark.parametrize("capability", ["multi-models", "accept-bind-to-port"])
def test_image_has_the_labels_of_sagemaker(capability):
    """Without them SageMaker refuses a multi-model endpoint, and a place in a pipeline."""
    assert f"com.amazonaws.sagemaker.capabilities.{capability}=true" in LAST_STAGE


def test_image_starts_serve_without_a_shell():
    """Exec form: a shell would stand where SIGTERM arrives."""
    commands = re.findall(r"^(?:CMD|ENTRYPOINT) (.*)$", LAST_STAGE, re.MULTILINE)
    assert [json.loads(command) for command in commands] == [["serve"]]


def test_last_stage_installs_nothing():
    """It copies finished folders onto the base: no compiler, no package cache."""
    assert re.search(r"^RUN", LAST_STAGE, re.MULTILINE) is None


def test_builder_sees_only_what_the_image_is_made_of():
    """Everything is left out of the build context but what the Dockerfile copies."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert "*" in lines
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == set(" ".join(copied).split())


LOCKS = ["requirements.lock", "requirements-compiled.lock", "requirements-dev.lock"]


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_every_requirement_by_hash_and_names_no_place(lock):
    """Every requirement has a version and a hash; no index, folder or address of whoever resolved it is in the file."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    requirements = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(requirements) > 40
    assert [entry for entry in requirements if not re.match(r"[a-z0-9.-]+==\S+ \\\n    --hash=sha256:", entry)] == []
    assert re.search(r"://|--(extra-)?index-url|--find-links|/\w+/", text) is None


def test_torch_is_pinned_in_one_place():
    """pyproject.toml says which torch; no other file of the build repeats it."""
    files = ["Dockerfile", "Makefile", *LOCKS]
    pinned = [name for name in files if re.search(r"torch==\d", (ROOT / name).read_text(encoding="utf-8"))]
    assert pinned == []
    assert len(re.findall(r'"torch==[\d.]+"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))) == 1


def test_image_leaves_the_local_platform_out():
    """It is part of the wheel, for laptops; a container never plays the platform."""
    assert "rm -r /opt/absa-server/app/local_sagemaker /opt/absa-server/app/bin/local-sagemaker" in DOCKERFILE


def _entries(lock):
    """Each requirement with its hashes, without the comments on who asked for it."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    return {entry.split("==")[0]: entry.strip() for entry in entries if "==" in entry}


def test_image_without_torch_holds_the_same_versions_and_less():
    """Its lock is a part of the other, by version and hash, without torch's and transformers' own needs."""
    whole, compiled = _entries("requirements.lock"), _entries("requirements-compiled.lock")
    assert compiled.items() < whole.items()
    assert {"transformers", "sympy", "sentencepiece", "tiktoken"} <= whole.keys() - compiled.keys()
    assert {"openvino", "tokenizers", "safetensors", "boto3"} <= compiled.keys()


def test_lock_without_torch_holds_all_that_the_project_names():
    """No requirement of pyproject.toml is missing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {re.split(r"[\[<>=!~; ]", requirement)[0] for requirement in project["dependencies"]}
    assert named <= _entries("requirements-compiled.lock").keys()


# Stand-ins for what the Dockerfile calls: pip tells its arguments, Python answers what a build of torch would.
STUB_PIP = 'echo "pip $*"'
STUB_PYTHON = 'case "$*" in *version.cuda*) exit $NOT_FOR_CUDA ;; *) exit $NOT_IMPORTABLE ;; esac'


def _build(folder, torch, *, not_importable=0, not_for_cuda=0):
    """Runs the commands of the Dockerfile that look at TORCH and install, with stand-ins for pip and Python."""
    commands = re.findall(r"^RUN ((?:.*\\\n)*.*)$", DOCKERFILE, re.MULTILINE)
    installing = [command for command in commands if "$TORCH" in command and "pip " in command]
    assert len(installing) == 2
    for name, body in (("pip", STUB_PIP), ("python", STUB_PYTHON)):
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    script = "set -e\n" + "\n".join(installing).replace("/opt/absa-server/venv/bin/python", str(folder / "python"))
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "TORCH": torch, "TORCH_INDEX_URL": "https://index.test/x",
                   "NOT_IMPORTABLE": str(not_importable), "NOT_FOR_CUDA": str(not_for_cuda)}  # fmt: skip
    return subprocess.run(["sh", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("torch", "lock", "options"),
    [
        ("cpu", "requirements.lock", " --no-deps --index-url https://index.test/x torch=="),
        ("cuda", "requirements.lock", " --index-url https://index.test/x torch=="),
        ("none", "requirements-compiled.lock", None),
    ],
)
def test_build_argument_chooses_lock_and_torch(torch, lock, options, tmp_path):
    """cpu: torch alone; cuda: with the packages it asks for; none: neither torch nor what only it needs."""
    done = _build(tmp_path, torch)
    assert (done.returncode, done.stderr) == (0, "")
    first, *rest = done.stdout.splitlines()
    assert first.endswith(f" install --no-deps --require-hashes -r {lock}")
    assert len(rest) == (options is not None)
    assert all(f" install{options}" in line for line in rest)


@pytest.mark.parametrize(
    ("torch", "broken", "telling"),
    [
        ("gpu", {}, "TORCH=gpu: expected cpu, cuda or none"),
        ("", {}, "TORCH=: expected cpu, cuda or none"),
        ("cpu", {"not_importable": 1}, "or --build-arg TORCH=cuda"),
        ("cuda", {"not_for_cuda": 1}, "this build of torch is for the CPU"),
    ],
)
def test_build_that_would_not_work_ends_with_what_to_do(torch, broken, telling, tmp_path):
    """An unknown word, and a torch of the other kind than was asked for."""
    done = _build(tmp_path, torch, **broken)
    assert done.returncode == 1
    assert telling in done.stderr


@pytest.mark.parametrize("torch", ["cpu", "cuda", "none"])
def test_only_the_image_for_cuda_asks_for_gpus(torch):
    """Each value has a stage to end on; NVIDIA's container runtime reads the variables of the image."""
    stages = re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)
    [own] = [stage for stage in stages if stage.split("\n")[0].endswith(f" AS torch-{torch}")]
    assert ("NVIDIA_VISIBLE_DEVICES=all" in own) is (torch == "cuda")
    assert LAST_STAGE.startswith("FROM torch-${TORCH}\n")


def test_make_passes_the_argument():
    """`make image TORCH=none` builds what it says; nothing set builds for the CPU."""
    for given, built in ((["TORCH=none"], "none"), ([], "cpu")):
        plain = {name: value for name, value in os.environ.items() if name != "TORCH"}
        done = subprocess.run(
            ["make", "--dry-run", "image", *given], cwd=ROOT, env=plain, capture_output=True, text=True, check=True
        )
        assert f"--build-arg TORCH={built} " in done.stdout
