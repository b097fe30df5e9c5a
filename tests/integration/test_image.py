"""What the files that make the container image must hold, for every builder and for SageMaker. `absa smoke` runs it."""

import json
import re
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


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_lock_pins_every_requirement_by_hash_and_names_no_place(lock):
    """Every requirement has a version and a hash; no index, folder or address of whoever resolved it is in the file."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    requirements = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(requirements) > 40
    assert [entry for entry in requirements if not re.match(r"[a-z0-9.-]+==\S+ \\\n    --hash=sha256:", entry)] == []
    assert re.search(r"://|--(extra-)?index-url|--find-links|/\w+/", text) is None


def test_torch_is_pinned_in_one_place():
    """pyproject.toml says which torch; no other file of the build repeats it."""
    files = ["Dockerfile", "Makefile", "requirements.lock", "requirements-dev.lock"]
    pinned = [name for name in files if re.search(r"torch==\d", (ROOT / name).read_text(encoding="utf-8"))]
    assert pinned == []
    assert len(re.findall(r'"torch==[\d.]+"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))) == 1


def test_image_leaves_the_local_platform_out():
    """It is part of the wheel, for laptops; a container never plays the platform."""
    assert "rm -r /opt/absa-server/app/local_sagemaker /opt/absa-server/app/bin/local-sagemaker" in DOCKERFILE
