"""The one list of what a deployment is made of: templates, order, names of stacks, what each takes from another.

Everything that deploys, updates, rolls back or destroys goes through `PARTS`, forwards or backwards. Calls nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from absa_server.cloud.errors import BadTemplate

# Where buckets and images are: one stack a Region, which endpoints share and outlive.
STORAGE_STACK = "absa-storage"


@dataclass(frozen=True, slots=True)
class Part:
    """One template as one stack.

    `wires`: parameter -> (part, output) that it is filled with; `offers`: likewise, where nothing else is given.
    `is_released`: changed by every update and rollback; the others only by `deploy`. `is_optional`: left out unless
    asked for, or there already. `is_shared`: one for all endpoints of the Region.
    """

    name: str
    purpose: str
    wires: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    offers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    is_released: bool = False
    is_optional: bool = False
    is_shared: bool = False
    is_transformed: bool = False
    shapes_without: frozenset[str] = frozenset()

    @property
    def template(self) -> str:
        """The file in infra/."""
        return f"{self.name}.yaml"

    def stack_name(self, endpoint: str) -> str:
        """The stack of this part for an endpoint."""
        return STORAGE_STACK if self.is_shared else f"{endpoint}-{self.name}"

    def fits(self, shape: str) -> bool:
        """Whether endpoints of this shape have it."""
        return shape not in self.shapes_without


_BUCKETS = {"ArtifactsBucket": ("storage", "ArtifactsBucket"), "ResultsBucket": ("storage", "ResultsBucket")}
# What they look at is not published for these.
_NOT_ANSWERING = frozenset({"async"})

PARTS = (
    Part("storage", "buckets and image repository", is_shared=True),
    Part("network", "a VPC's ways to S3, ECR and CloudWatch", _BUCKETS, is_optional=True),
    Part(
        "roles",
        "execution role, deployer's and CI's policies",
        {**_BUCKETS, "RepositoryName": ("storage", "RepositoryName")},
    ),
    Part(
        "endpoint",
        "model, endpoint, scaling, rollback alarms",
        {**_BUCKETS, "ExecutionRoleArn": ("roles", "ExecutionRoleArn")},
        {"SecurityGroupIds": ("network", "SecurityGroupId")},
        is_released=True,
    ),
    Part("alarms", "alarms and their topic", is_released=True, shapes_without=_NOT_ANSWERING),
    Part("dashboard", "the dashboard", is_released=True, shapes_without=_NOT_ANSWERING),
    Part("api", "API Gateway and Lambda", _BUCKETS, is_optional=True, is_transformed=True),
    Part("api-direct", "API Gateway straight to the endpoint", is_optional=True),
    # After the API, whose id it needs: it names this Region's API in DNS.
    Part(
        "traffic",
        "this Region's part of a name for several",
        offers={"RestApiId": ("api", "RestApiId")},
        is_optional=True,
    ),
)
BY_NAME = {part.name: part for part in PARTS}


def parts_named(names: Iterable[str]) -> list[Part]:
    """These parts, in the order of the list. Raises `BadTemplate` for a name that is none."""
    wanted = set(names)
    unknown = sorted(wanted - set(BY_NAME))
    if unknown:
        raise BadTemplate(f"{', '.join(unknown)}: no such part; there are {', '.join(BY_NAME)}")
    return [part for part in PARTS if part.name in wanted]
