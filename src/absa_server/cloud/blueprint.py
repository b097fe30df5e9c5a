"""Parts with their templates and parameters, checked before anything is sent. Calls nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from absa_server.cloud.errors import BadTemplate
from absa_server.cloud.parameters import PLACEHOLDERS, derived, parameters_of, without_wires
from absa_server.cloud.parts import PARTS, Part
from absa_server.cloud.releases import Content
from absa_server.cloud.resolver import Place, Resolver
from absa_server.cloud.stack_driver import Wanted
from absa_server.cloud.stacks import ENDPOINT_TAG
from absa_server.cloud.template import Template, parse_template
from absa_server.cloud.template_checks import check

# Of a template that is sent in the call itself.
MAX_TEMPLATE_BYTES = 51_200


@dataclass(frozen=True, slots=True)
class Blueprint:
    """One part, ready to be handed over."""

    part: Part
    text: str
    template: Template
    parameters: Mapping[str, str]

    def content(self) -> Content:
        """What a release remembers of it."""
        return Content(self.text, without_wires(self.part, self.parameters))

    def defaults(self) -> dict[str, str]:
        """The template's own values."""
        declared = self.template.get("Parameters", {})
        return {name: str(rule["Default"]) for name, rule in declared.items() if "Default" in rule}

    def wanted(self, endpoint: str, place: Place) -> Wanted:
        """The stack that it makes."""
        resolver = Resolver(self.template, self.parameters, place=place)
        resources = 0 if self.part.is_transformed else len(list(resolver.resources()))
        name = self.part.stack_name(endpoint)
        return Wanted(name, self.text, self.parameters, {ENDPOINT_TAG: endpoint}, resources)

    def check(self, place: Place) -> None:
        """Raises `BadTemplate` for what the template's own constraints, CloudFormation or SageMaker would refuse."""
        size = len(self.text.encode())
        if size > MAX_TEMPLATE_BYTES:
            raise BadTemplate(
                f"{self.part.template}: {size} bytes; CloudFormation takes {MAX_TEMPLATE_BYTES} in a call"
            )
        try:
            resolver = Resolver(self.template, self.parameters, place=place)
            # Only the transform knows what becomes of a SAM template.
            if not self.part.is_transformed:
                check(resolver)
        except BadTemplate as error:
            raise BadTemplate(f"{self.part.template}: {error}") from None


def read_texts(folder: Path) -> dict[str, str]:
    """The templates of all parts, word for word. Raises `BadTemplate` when the folder is not infra/."""
    texts = {}
    for part in PARTS:
        try:
            texts[part.name] = (folder / part.template).read_text(encoding="utf-8")
        except OSError as error:
            raise BadTemplate(
                f"{folder / part.template}: {error.strerror}; name the folder with --templates"
            ) from error
    return texts


def blueprint(
    part: Part,
    text: str,
    *,
    given: Mapping[str, str],
    outputs: Mapping[str, Mapping[str, str]],
    present: Mapping[str, str],
) -> Blueprint:
    """The part with all its parameters. Raises `BadTemplate`."""
    template = parse_template(text, name=part.template)
    values = parameters_of(part, template, given=given, outputs=outputs, present=present)
    return Blueprint(part, text, template, values)


def with_derived(given: Mapping[str, str], present_endpoint: Mapping[str, str]) -> dict[str, str]:
    """What was given, and what follows from it and from the endpoint as it is."""
    return derived({**present_endpoint, **given}) | dict(given)


def rehearse(
    parts: Iterable[Part],
    texts: Mapping[str, str],
    *,
    given: Mapping[str, str],
    outputs: Mapping[str, Mapping[str, str]],
    present: Mapping[str, Mapping[str, str]],
    place: Place,
) -> list[Blueprint]:
    """Every part as it will be, checked; outputs of stacks that do not exist yet are made up. Raises `BadTemplate`."""
    made_up = {
        part.name: {output: PLACEHOLDERS[output] for _, output in _wires_from(part.name)}
        | dict(outputs.get(part.name, {}))
        for part in parts
    }
    found = [
        blueprint(
            part, texts[part.name], given=given, outputs=dict(outputs) | made_up, present=present.get(part.name, {})
        )
        for part in parts
    ]
    for each in found:
        each.check(place)
    return found


def _wires_from(source: str) -> list[tuple[str, str]]:
    wires = [wire for part in PARTS for wire in (*part.wires.values(), *part.offers.values())]
    return [wire for wire in wires if wire[0] == source]
