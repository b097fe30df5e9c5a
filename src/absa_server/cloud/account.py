"""One endpoint's stacks as they are in the account: parts that exist, parameters, outputs. Changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from absa_server.cloud.aws import Clients
from absa_server.cloud.errors import NothingToDo
from absa_server.cloud.parts import BY_NAME, PARTS, Part
from absa_server.cloud.resolver import Place
from absa_server.cloud.stack_states import ABSENT, DEAD
from absa_server.cloud.stacks import Stack, find_stack

DEFAULT_SHAPE = "single"


@dataclass(frozen=True, slots=True)
class Found:
    """The stacks of one endpoint, by part. What is dead (never came to life) is not among the living."""

    endpoint: str
    place: Place
    stacks: Mapping[str, Stack]

    @property
    def living(self) -> dict[str, Stack]:
        """The stacks that are, or are becoming, of use."""
        return {name: stack for name, stack in self.stacks.items() if stack.status not in DEAD}

    def present(self) -> dict[str, Mapping[str, str]]:
        """The parameters of each living stack."""
        return {name: stack.parameters for name, stack in self.living.items()}

    def outputs(self) -> dict[str, Mapping[str, str]]:
        """The outputs of each living stack."""
        return {name: stack.outputs for name, stack in self.living.items()}

    def shape(self) -> str:
        """The shape that the endpoint has now, or the default."""
        endpoint = self.living.get("endpoint")
        return endpoint.parameters.get("Shape", DEFAULT_SHAPE) if endpoint else DEFAULT_SHAPE

    def stack_name(self, part: Part) -> str:
        """The name of the part's stack, whether or not it exists."""
        return part.stack_name(self.endpoint)

    def output(self, part: str, output: str) -> str:
        """One output. Raises `NothingToDo` when its stack is not there."""
        value = self.outputs().get(part, {}).get(output)
        if value is None:
            name = self.stack_name(BY_NAME[part])
            raise NothingToDo(f"stack {name} is not in {self.place.region}: begin with `absa deploy --only {part}`")
        return value


def look(clients: Clients, endpoint: str) -> Found:
    """The account as it is now."""
    place = Place(region=clients.region, account_id=clients.account_id(), stack_name=endpoint)
    cloudformation = clients.cloudformation()
    named = ((part.name, find_stack(cloudformation, part.stack_name(endpoint))) for part in PARTS)
    stacks = {name: stack for name, stack in named if stack is not None and stack.status not in ABSENT}
    return Found(endpoint, place, stacks)
