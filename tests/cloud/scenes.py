"""An account in this process with an endpoint in some state, interruptions of what works on it, and what is left.

The clients are boto3's own; every call that the code under test makes can be the last one of its run.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.loaders import Loader
from moto import mock_aws

from absa_server.cloud.aws import Clients
from absa_server.cloud.deployment import Deployment, Request
from absa_server.cloud.destruction import Destruction
from absa_server.cloud.releases import Releases
from absa_server.cloud.stacks import StackEvent

from .moto_updates import add_update_endpoint
from .stack_service import StackService, play_cloudformation

REGION = "eu-west-1"
INFRA = Path(__file__).parents[2] / "infra"
FIRST = f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/absa-server@sha256:{'0' * 64}"
SECOND = FIRST.replace("0" * 64, "1" * 64)
# The newest types of these sizes that moto's list holds.
GIVEN = {"Image": FIRST, "InstanceType": "ml.c5.xlarge"}
OTHER_TYPE = "ml.c5.2xlarge"
# The services' models are read once, not for each run: they are most of a run's time.
_MODELS = Loader()
_MODELS.search_paths.extend(botocore.session.Session().get_component("data_loader").search_paths)
_MADE_UP = re.compile(r"-\d{4,}\b")


def _session() -> boto3.Session:
    core = botocore.session.Session()
    core.register_component("data_loader", _MODELS)
    return boto3.Session(botocore_session=core, region_name=REGION)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C."""


class Silence:
    """A watch that keeps what it was told."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []
        self.events: list[tuple[str, StackEvent]] = []
        self.ended: list[tuple[str, str]] = []

    def begin(self, stack: str, doing: str, resources: int) -> None:
        self.begun.append((stack, doing))

    def event(self, stack: str, event: StackEvent) -> None:
        self.events.append((stack, event))

    def end(self, stack: str, result: str) -> None:
        self.ended.append((stack, result))


@dataclass
class Interruption:
    """Ends a run at its `at`-th call: before AWS hears of it, or right after it did. 0: never, only counts."""

    at: int = 0
    is_after: bool = False
    calls: list[str] = field(default_factory=list)

    def clients(self) -> Clients:
        session = _session()
        session.events.register("before-call", self._before)
        session.events.register("after-call", self._after)
        return Clients(session)

    def _before(self, model: Any, **_: Any) -> None:
        self.calls.append(model.name)
        if len(self.calls) == self.at and not self.is_after:
            raise Interrupted

    def _after(self, **_: Any) -> None:
        if len(self.calls) == self.at and self.is_after:
            raise Interrupted


Run = Callable[[Clients], Any]


@dataclass
class Scene:
    """The account, and what its user does."""

    service: StackService
    watch: Silence = field(default_factory=Silence)

    def deployment(self, clients: Clients) -> Deployment:
        return Deployment(clients, endpoint="absa", watch=self.watch, sleep=lambda _: None)

    def destruction(self, clients: Clients) -> Destruction:
        return Destruction(clients, endpoint="absa", watch=self.watch, sleep=lambda _: None)

    def deploy(self, clients: Clients, **given: str) -> Any:
        return self.deployment(clients).deploy(Request(GIVEN | given), INFRA)

    def update(self, clients: Clients, **given: str) -> Any:
        return self.deployment(clients).deploy(Request(given), INFRA, is_update=True)

    def rollback(self, clients: Clients, to: int | None = None) -> Any:
        return self.deployment(clients).rollback(to)

    def destroy(self, clients: Clients) -> None:
        self.destruction(clients).remove_stacks()

    def destroy_all(self, clients: Clients) -> None:
        destruction = self.destruction(clients)
        destruction.remove_stacks()
        destruction.remove_data(lambda _: None)

    def releases(self) -> Releases:
        (storage,) = self.service.describe("absa-storage")
        return Releases(boto3.client("s3", REGION), storage.applied.outputs["ArtifactsBucket"], "absa")

    def left(self) -> dict[str, Any]:
        """Everything that two runs which come to the same have alike; names that AWS makes up are evened out."""
        stacks = {
            stack.name: (sorted(stack.parameters.items()), sorted(stack.applied.resources), stack.template)
            for stack in self.service.describe(None)
        }
        states = {stack.name: stack.status.endswith("_COMPLETE") for stack in self.service.describe(None)}
        return _even({"stacks": stacks, "usable": states, "releases": self._releases(), "account": self._account()})

    def _releases(self) -> Any:
        if self.service.named("absa-storage") is None:
            return None
        releases = self.releases()
        all_of_them = [
            (each.number, each.previous, sorted(each.parts["endpoint"].parameters.items()))
            for each in releases.newest_first()
        ]
        return [all_of_them, releases.pending()]

    def _account(self) -> Any:
        sagemaker, s3 = boto3.client("sagemaker", REGION), boto3.client("s3", REGION)
        scaling = boto3.client("application-autoscaling", REGION)
        endpoints = [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]]
        return {
            "endpoints": [_endpoint(sagemaker, name) for name in endpoints],
            "models": len(sagemaker.list_models()["Models"]),
            "configurations": len(sagemaker.list_endpoint_configs()["EndpointConfigs"]),
            "targets": len(scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]),
            "buckets": len(s3.list_buckets()["Buckets"]),
            "repositories": len(boto3.client("ecr", REGION).describe_repositories()["repositories"]),
            "alarms": sorted(
                each["AlarmName"] for each in boto3.client("cloudwatch", REGION).describe_alarms()["MetricAlarms"]
            ),
        }


def _endpoint(sagemaker: Any, name: str) -> Any:
    config = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    containers = model.get("Containers") or [model["PrimaryContainer"]]
    return [name, variant["InstanceType"], *((each["Image"], each["ModelDataUrl"]) for each in containers)]


def _even(found: Any) -> Any:
    if isinstance(found, str):
        return _MADE_UP.sub("-N", found)
    if isinstance(found, dict):
        return {key: _even(value) for key, value in found.items()}
    return [_even(each) for each in found] if isinstance(found, list | tuple) else found


@contextmanager
def scene() -> Iterator[Scene]:
    """An empty account."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "MOTO_ACCOUNT_ID": "111122223333",
        }.items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        add_update_endpoint(patch)
        with mock_aws():
            patch.setattr(boto3, "DEFAULT_SESSION", _session())
            yield Scene(play_cloudformation(patch, REGION))


@dataclass(frozen=True)
class Story:
    """What was done before, and the command that is interrupted."""

    name: str
    before: tuple[Callable[[Scene, Clients], Any], ...]
    command: Callable[[Scene, Clients], Any]


def _deployed(scene: Scene, clients: Clients) -> None:
    scene.deploy(clients)


def _updated(scene: Scene, clients: Clients) -> None:
    scene.update(clients, Image=SECOND)


def _changed_type(scene: Scene, clients: Clients) -> None:
    scene.update(clients, InstanceType=OTHER_TYPE)


STORIES = (
    Story("deploy", (), _deployed),
    Story("update", (_deployed,), _updated),
    Story("update of the instance type", (_deployed,), _changed_type),
    Story("rollback", (_deployed, _updated), lambda scene, clients: scene.rollback(clients)),
    Story("rollback of two", (_deployed, _updated, _changed_type), lambda scene, clients: scene.rollback(clients)),
    Story("destroy", (_deployed, _updated), Scene.destroy),
    Story("destroy with data", (_deployed, _updated), Scene.destroy_all),
)


STORY = {story.name: story for story in STORIES}


def played(story: Story, interruption: Interruption) -> tuple[dict[str, Any], list[str], bool]:
    """What is left once the story's command was interrupted and run again; its calls; whether it was interrupted."""
    with scene() as on:
        for step in story.before:
            step(on, Interruption().clients())
        is_interrupted = False
        try:
            story.command(on, interruption.clients())
        except Interrupted:
            is_interrupted = True
            story.command(on, Interruption().clients())
        return on.left(), interruption.calls, is_interrupted
