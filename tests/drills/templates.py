"""What can be known of the templates without an account, printed: the same checks as the tests, each with its count.

Run by `make drill-templates`.
"""

import copy
import json
import os
from collections.abc import Callable

import typer
from rich.console import Console
from rich.table import Table

from absa_server.cloud.template_checks import complaints, resolved_resources
from tests.cloud.scenes import GIVEN, SECOND, Interruption, scene
from tests.infra import test_roles as roles
from tests.infra import test_seeded_errors as seeded
from tests.infra import test_shapes as shapes
from tests.infra.metric_names import published
from tests.infra.policy_evaluator import Call, is_allowed
from tests.infra.stacks import INFRA, SHAPES, TEMPLATES, resolver
from tests.infra.test_lint import SHAPED, said_by_cfn_lint

app = typer.Typer(add_completion=False)


def lint_rows() -> list[tuple[str, str, int, int | None]]:
    """(template, shape, what cfn-lint says, what our checks say or `None` where only the transform knows)."""
    rows: list[tuple[str, str, int, int | None]] = []
    shaped = {name for name, _ in SHAPED}
    for template in TEMPLATES:
        text = template.read_text(encoding="utf-8")
        if template.stem not in shaped:
            rows.append((template.stem, "", len(said_by_cfn_lint(text)), None))
    for name, shape in SHAPED:
        text = (INFRA / f"{name}.yaml").read_text(encoding="utf-8").replace("Default: single", f"Default: {shape}")
        ours = None if name == "api" else len(complaints(resolved_resources(resolver(name, Shape=shape))))
        rows.append((name, shape, len(said_by_cfn_lint(text)), ours))
    return rows


def deployed_rows() -> list[tuple[str, ...]]:
    """A row for each shape."""
    return [deployed_row(shape) for shape in SHAPES]


def deployed_row(shape: str) -> tuple[str, ...]:
    """(shape, its containers, the endpoint after an update, scaling policies, alarms, unknown metrics)."""
    with scene() as on:
        on.deploy(Interruption().clients(), Shape=shape)
        before = on.left()["account"]
        on.update(Interruption().clients(), Image=SECOND)
        after = on.left()["account"]
        policies = [name for name in on.service.named("absa-endpoint").applied.resources if name.endswith("Tracking")]
    names = ("endpoint",) if shape == "async" else ("endpoint", "alarms")
    unknown = [metric for name in names for metric in _unknown(name, shape)]
    is_updated = SECOND in str(after["endpoints"]) and GIVEN["Image"] in str(before["endpoints"])
    state = f"InService, {'updated' if is_updated else 'NOT UPDATED'}"
    return (
        shape,
        "+".join(shapes.MODES[shape]),
        state,
        ", ".join(policies),
        str(len(after["alarms"])),
        str(len(unknown)),
    )


def _unknown(name: str, shape: str) -> set[tuple[str, str]]:
    found = shapes.metrics_of_alarms(name, shape) - published(shape)
    return {metric for metric in found if metric[0].startswith(("AWS/", "/aws/"))}


def planted_rows() -> list[tuple[str, int, int]]:
    """A row for each error that the tests plant."""
    return [planted_row(plant) for plant in seeded.PLANTED]


def planted_row(plant: Callable[[dict], None]) -> tuple[str, int, int]:
    """(error, what cfn-lint says of it, what our checks say)."""
    template = copy.deepcopy(seeded.ENDPOINT)
    plant(template)
    # A parameter that is no longer used is the only trace that some of them leave.
    by_lint = [line for line in said_by_cfn_lint(json.dumps(template)) if "W2001" not in line]
    return plant.__name__.replace("_", " "), len(by_lint), len(seeded.said(template, "pipeline-multi-model"))


def role_rows() -> list[tuple[str, int, int, int]]:
    """(role, calls it needs and may make, calls that it must not and may not, wrong ones)."""
    tables: dict[str, tuple[list[dict], dict[Call, bool]]] = {
        "execution role": (roles.inline("roles", "ExecutionRole"), roles.EXECUTION),
        "deployer": (roles.managed("DeployerPolicy"), roles.DEPLOYER),
        "image pusher": (roles.managed("ImagePushPolicy"), roles.PUSHER),
        "function": (roles.inline("api", "FunctionRole"), roles.FUNCTION),
    }
    return [_role(name, documents, calls) for name, (documents, calls) in tables.items()]


def _role(name: str, documents: list[dict], calls: dict[Call, bool]) -> tuple[str, int, int, int]:
    wrong = sum(is_allowed(documents, call) is not allowed for call, allowed in calls.items())
    return name, sum(calls.values()), len(calls) - sum(calls.values()), wrong


@app.command()
def main() -> None:
    """Lint, check, resolve, deploy to an account in this process, plant errors, ask every role."""
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    console = Console()
    with console.status("cfn-lint, every template and shape …"):
        linted = lint_rows()
    _show(console, "cfn-lint and our own checks", ("template", "shape", "cfn-lint", "ours"), linted)
    with console.status("every shape, deployed and updated on moto …"):
        deployed = deployed_rows()
    columns = ("shape", "containers", "endpoint", "scaling policies", "alarms", "unknown metrics")
    _show(console, "deployed to an account in this process", columns, deployed)
    with console.status("planted errors …"):
        planted = planted_rows()
    _show(console, "planted errors", ("error", "said by cfn-lint", "said by ours"), planted)
    asked = role_rows()
    _show(console, "roles, by the policy evaluator", ("role", "may", "may not", "wrong"), asked)
    is_wrong = (
        any(by_lint or ours for _, _, by_lint, ours in linted)
        or any("NOT" in row[2] or row[5] != "0" for row in deployed)
        or any(not ours for _, _, ours in planted)
        or any(row[3] for row in asked)
    )
    raise typer.Exit(1 if is_wrong else 0)


def _show(console: Console, title: str, columns: tuple[str, ...], rows: list) -> None:
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*("–" if value is None else str(value) for value in row))
    console.print(table)


if __name__ == "__main__":
    app()
