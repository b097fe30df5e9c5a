"""The templates of infra/ with parameters that are complete, as the tests here resolve them."""

from pathlib import Path

from absa_server.cloud.resolver import Place, Resolver, logical_names
from absa_server.cloud.template import read_template

INFRA = Path(__file__).parents[2] / "infra"
# Beside them lies openapi.yaml, which api.yaml includes: no template of its own.
TEMPLATES = sorted(file for file in INFRA.glob("*.yaml") if file.name != "openapi.yaml")
SHAPES = ["single", "multi-model", "pipeline", "pipeline-multi-model", "async"]
# Those that answer a request on its own connection; alarms.yaml and dashboard.yaml are for these.
ANSWERING_SHAPES = [shape for shape in SHAPES if shape != "async"]
PLACE = Place(region="eu-west-1", account_id="111122223333")
IMAGE = f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/absa-server@sha256:{'0' * 64}"

PARAMETERS = {
    "endpoint": {
        "EndpointName": "absa",
        "Image": IMAGE,
        "ExecutionRoleArn": "arn:aws:iam::111122223333:role/absa",
        "ArtifactsBucket": "artifacts",
        "ResultsBucket": "results",
        # The newest type of this size that moto's list of instance types holds.
        "InstanceType": "ml.c5.xlarge",
    },
    "roles": {"EndpointName": "absa", "ArtifactsBucket": "artifacts", "ResultsBucket": "results"},
    "api": {"EndpointName": "absa", "ArtifactsBucket": "artifacts", "ResultsBucket": "results"},
}


def resolver(name: str, physical=logical_names, **parameters: str) -> Resolver:
    """The template `name` of infra/ with the parameters above, and those given."""
    template = read_template(INFRA / f"{name}.yaml")
    return Resolver(template, PARAMETERS.get(name, {}) | parameters, place=PLACE, physical=physical)
