"""A template applied to an account as CloudFormation would: resources created, changed, replaced, deleted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from absa_server.cloud.resolver import Place, Resolver
from absa_server.cloud.template import Template

from .resource_kinds import Kind

# Called before each resource is touched, with its logical name; raises to make the stack fail there.
Watch = Callable[[str], None]


@dataclass
class Applied:
    """One resource as it is in the account."""

    type: str
    physical: str
    properties: dict[str, Any]
    is_kept: bool = False


@dataclass
class AppliedStack:
    """The resources of one stack. `apply` may be called again with another template or other parameters."""

    kinds: dict[str, Kind]
    place: Place
    resources: dict[str, Applied] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    _replaced: list[Applied] = field(default_factory=list)

    def apply(self, template: Template, parameters: dict[str, str], *, watch: Watch = lambda _: None) -> None:
        """Brings the account to what the template says. What fails leaves what was done before it."""
        done: set[str] = set()
        resolver: Resolver

        def physical(logical: str, attribute: str | None) -> str:
            bring(logical)
            found = self.resources[logical]
            return self.kinds[found.type].attribute(found.physical, attribute) if attribute else found.physical

        def bring(logical: str) -> None:
            if logical in done:
                return
            done.add(logical)
            for needed in resolver.dependencies(logical):
                bring(needed)
            properties = resolver.properties(logical)
            watch(logical)
            self._bring(logical, resolver.type_of(logical), properties)
            self.resources[logical].is_kept = resolver.is_kept(logical)

        resolver = Resolver(template, parameters, place=self.place, physical=physical)
        for logical in resolver.resources():
            bring(logical)
        self._clean_up(set(resolver.resources()))
        self.outputs = resolver.outputs()

    def delete(self, *, watch: Watch = lambda _: None, is_rollback: bool = False) -> None:
        """Deletes every resource, the last made first; what is kept (but not of a creation rolled back) stays."""
        for logical in reversed(list(self.resources)):
            watch(logical)
            found = self.resources.pop(logical)
            if is_rollback or not found.is_kept:
                self.kinds[found.type].delete(found.physical)

    def _bring(self, logical: str, kind_name: str, properties: dict[str, Any]) -> None:
        kind, before = self.kinds[kind_name], self.resources.get(logical)
        if before is None:
            self.resources[logical] = Applied(kind_name, kind.create(properties), properties)
        elif before.properties == properties:
            return
        elif kind.update is not None:
            kind.update(before.physical, properties)
            before.properties = properties
        else:
            self.resources[logical] = Applied(kind_name, kind.create(properties), properties)
            self._replaced.append(before)

    def _clean_up(self, wanted: set[str]) -> None:
        for found in self._replaced:
            self.kinds[found.type].delete(found.physical)
        self._replaced.clear()
        for logical in [name for name in reversed(list(self.resources)) if name not in wanted]:
            found = self.resources.pop(logical)
            self.kinds[found.type].delete(found.physical)
