"""Deploy, update, roll back: parts handed to CloudFormation in order, as releases. Knows no command line.

Each of the three may be interrupted anywhere and run again: it begins by looking at what is there.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from absa_server.cloud.account import Found, look
from absa_server.cloud.aws import Clients
from absa_server.cloud.blueprint import Blueprint, blueprint, read_texts, rehearse, with_derived
from absa_server.cloud.errors import NothingToDo
from absa_server.cloud.function_package import Packager
from absa_server.cloud.parameters import refuse_unknown, without_wires
from absa_server.cloud.parts import BY_NAME, PARTS, Part, parts_named
from absa_server.cloud.releases import Content, Release, Releases
from absa_server.cloud.stack_driver import StackDriver, Wanted, Watch
from absa_server.cloud.stack_states import is_under_way
from absa_server.cloud.stacks import ENDPOINT_TAG, Stack, template_of
from absa_server.cloud.template import parse_template


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for. `only`: these parts; empty: all that belong; `extra`: optional parts besides."""

    given: Mapping[str, str]
    only: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


class Deployment:
    """One endpoint of one account and Region."""

    def __init__(
        self,
        clients: Clients,
        *,
        endpoint: str,
        watch: Watch,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clients = clients
        self._endpoint = endpoint
        self._cloudformation = clients.cloudformation()
        self._driver = StackDriver(self._cloudformation, watch, sleep=sleep)

    def plan(self, request: Request, templates: Path, *, is_update: bool = False) -> tuple[Found, list[Blueprint]]:
        """The account as it is, and every part as it will be, checked; nothing is changed. Raises `BadTemplate`."""
        found = look(self._clients, self._endpoint)
        if is_update and "endpoint" not in found.living:
            raise NothingToDo(f"there is no endpoint {self._endpoint} in {found.place.region}: `absa deploy` makes it")
        return found, rehearsed(found, request, templates, is_update=is_update, present=self._present(found))

    def deploy(self, request: Request, templates: Path, *, is_update: bool = False) -> dict[str, Mapping[str, str]]:
        """The outputs of every stack, once all are as asked for. Raises any `CloudError`."""
        self._settle()
        found, plans = self.plan(request, templates, is_update=is_update)
        given, present, outputs = _given(request, found), self._present(found), found.outputs()
        released: list[Blueprint] = []
        for planned in plans:
            current = present.get(planned.part.name, {})
            ready = blueprint(planned.part, planned.text, given=given, outputs=outputs, present=current)
            if ready.part.is_released and any(each.part.name == "endpoint" for each in plans):
                released.append(ready)
                if ready.part is _last_released(plans):
                    outputs |= self._release(found, released, _bucket(outputs))
            else:
                ready = self._packaged(ready, templates, outputs)
                outputs[ready.part.name] = self._driver.bring(ready.wanted(self._endpoint, found.place)).outputs
        return outputs

    def rollback(self, to: int | None = None) -> Release:
        """The release that is live afterwards: the one before, or `to`. Raises `NothingToDo` when there is none."""
        self._settle()
        found = look(self._clients, self._endpoint)
        releases = self._releases(found.output("storage", "ArtifactsBucket"))
        target = self._target(found, releases, to)
        releases.begin("rollback", target.number)
        ready = [
            blueprint(
                BY_NAME[name], content.template, given=content.parameters, outputs=found.outputs(),
                present=found.present().get(name, {}),
            )
            for name, content in target.parts.items()
        ]  # fmt: skip
        self._hand_over(found, sorted(ready, key=lambda each: PARTS.index(each.part)))
        releases.finish()
        return target

    def live(self) -> tuple[Release | None, list[Release]]:
        """The release that the endpoint is at, and all there are, the newest first."""
        found = look(self._clients, self._endpoint)
        releases = self._releases(found.output("storage", "ArtifactsBucket"))
        endpoint = found.living.get("endpoint")
        return releases.live(self._content(endpoint, BY_NAME["endpoint"])) if endpoint else None, list(
            releases.newest_first()
        )

    def _settle(self) -> None:
        """Nothing is decided by a state that is about to change."""
        for stack in look(self._clients, self._endpoint).stacks.values():
            if is_under_way(stack.status):
                self._driver.settle(stack.name)

    def _present(self, found: Found) -> dict[str, Mapping[str, str]]:
        """The parameters of each stack; scaling that an interrupted run has given up counts as still there."""
        present, bucket = found.present(), found.outputs().get("storage", {}).get("ArtifactsBucket")
        stack = found.living.get("endpoint")
        if stack is None or bucket is None or stack.parameters.get("MaxInstances") != "0":
            return present
        live = self._releases(bucket).live(self._content(stack, BY_NAME["endpoint"]))
        if live is not None:
            present["endpoint"] = {**stack.parameters, **live.parts["endpoint"].parameters}
        return present

    def _packaged(self, ready: Blueprint, templates: Path, outputs: Mapping[str, Mapping[str, str]]) -> Blueprint:
        """The part with its local files in S3; most have none."""
        if not ready.part.is_transformed:
            return ready
        bucket = _bucket(outputs)
        packager = Packager(self._clients.s3(), bucket=bucket, endpoint=self._endpoint, folder=templates)
        return replace(ready, text=packager.packaged(ready.template))

    def _releases(self, bucket: str) -> Releases:
        return Releases(self._clients.s3(), bucket, self._endpoint)

    def _release(self, found: Found, ready: Sequence[Blueprint], bucket: str) -> dict[str, Mapping[str, str]]:
        """Outputs of the released parts, handed over as one release."""
        releases = self._releases(bucket)
        live = self._live_or_adopted(found, releases)
        parts = {each.part.name: each.content() for each in ready}
        is_same = live is not None and live.is_of(parts)
        release = live if is_same and live else releases.record(parts, previous=live.number if live else None)
        releases.begin("update", release.number)
        outputs = self._hand_over(found, ready)
        releases.finish()
        return outputs

    def _hand_over(self, found: Found, ready: Sequence[Blueprint]) -> dict[str, Mapping[str, str]]:
        outputs: dict[str, Mapping[str, str]] = {}
        for each in ready:
            if each.part.name == "endpoint":
                self._give_up_scaling(found, each)
            outputs[each.part.name] = self._driver.bring(each.wanted(self._endpoint, found.place)).outputs
        self._remove_what_does_not_fit(found, ready)
        return outputs

    def _remove_what_does_not_fit(self, found: Found, ready: Sequence[Blueprint]) -> None:
        """After a change of shape: alarms and a dashboard of metrics that the new one does not publish."""
        shapes = [each.parameters["Shape"] for each in ready if each.part.name == "endpoint"]
        for part in reversed(PARTS):
            if part.is_released and part.name in found.stacks and not all(part.fits(shape) for shape in shapes):
                self._driver.remove(part.stack_name(self._endpoint))

    def _give_up_scaling(self, found: Found, ready: Blueprint) -> None:
        """Before another instance type: SageMaker refuses to update a variant that is registered for scaling."""
        stack = found.living.get("endpoint")
        if stack is None or stack.parameters.get("MaxInstances") == "0":
            return
        if stack.parameters.get("InstanceType") == ready.parameters.get("InstanceType"):
            return
        template = template_of(self._cloudformation, stack.name)
        parameters = {**stack.parameters, "MaxInstances": "0"}
        self._driver.bring(Wanted(stack.name, template, parameters, {ENDPOINT_TAG: self._endpoint}))

    def _live_or_adopted(self, found: Found, releases: Releases) -> Release | None:
        """The live release; an endpoint that was deployed by other means, or changed by them, is recorded first."""
        stack = found.living.get("endpoint")
        if stack is None:
            return None
        live = releases.live(self._content(stack, BY_NAME["endpoint"]))
        if live is not None:
            return live
        parts = {
            part.name: self._content(found.living[part.name], part)
            for part in PARTS
            if part.is_released and part.name in found.living
        }
        return releases.record(parts, previous=None)

    def _target(self, found: Found, releases: Releases, to: int | None) -> Release:
        stack, pending = found.living.get("endpoint"), releases.pending()
        if stack is None:
            raise NothingToDo(f"there is no endpoint {self._endpoint} in {found.place.region}")
        if to is not None:
            return releases.read(to)
        if pending is not None and pending.command == "rollback":
            return releases.read(pending.to)
        if pending is not None:
            live: Release | None = releases.read(pending.to)
        else:
            live = releases.live(self._content(stack, BY_NAME["endpoint"]))
        if live is None or live.previous is None:
            raise NothingToDo(f"{self._endpoint}: there is no release before this one")
        return releases.read(live.previous)

    def _content(self, stack: Stack, part: Part) -> Content:
        """What the stack is at."""
        return Content(template_of(self._cloudformation, stack.name), without_wires(part, stack.parameters))


def rehearsed(
    found: Found,
    request: Request,
    templates: Path,
    *,
    is_update: bool = False,
    present: Mapping[str, Mapping[str, str]] | None = None,
) -> list[Blueprint]:
    """Every part that the request is about, as it will be, checked. Calls nothing. Raises `BadTemplate`."""
    texts = read_texts(templates)
    parts = _chosen(request, found, is_update=is_update)
    refuse_unknown(request.given, (parse_template(texts[part.name], name=part.template) for part in parts))
    return rehearse(
        parts, texts, given=_given(request, found), outputs=found.outputs(),
        present=found.present() if present is None else present, place=found.place,
    )  # fmt: skip


def _given(request: Request, found: Found) -> dict[str, str]:
    given = {"EndpointName": found.endpoint} | dict(request.given)
    return with_derived(given, found.present().get("endpoint", {}))


def _chosen(request: Request, found: Found, *, is_update: bool) -> list[Part]:
    """The parts that a request is about, in order."""
    shape = request.given.get("Shape", found.shape())
    if request.only:
        return parts_named(request.only)
    if is_update:
        return [part for part in PARTS if part.is_released and part.fits(shape)]
    asked = {part.name for part in parts_named(request.extra)}
    return [
        part
        for part in PARTS
        if part.fits(shape) and (not part.is_optional or part.name in asked or part.name in found.living)
    ]


def _last_released(plans: Iterable[Blueprint]) -> Part:
    return [each.part for each in plans if each.part.is_released][-1]


def _bucket(outputs: Mapping[str, Mapping[str, str]]) -> str:
    bucket = outputs.get("storage", {}).get("ArtifactsBucket")
    if bucket is None:
        raise NothingToDo("the storage stack is not there: begin with `absa deploy --only storage`")
    return bucket
