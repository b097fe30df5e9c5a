"""Two real containers of the image as a pipeline behind the local SageMaker, beside one that does the whole work.

Called by unmodified boto3. Run by `make drill-containers`, and by .ci/run on the image that it has built.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tests.drills.platform import container
from tests.drills.sagemaker import EXACT, TOLERANCE, Comparison, Row, compare, invoke
from tests.local_sagemaker.stand import configuration, stand

TEXTS = [
    "The pasta was superb, but the service was painfully slow.",
    "Never again.",
    "The battery lasts all day; the screen, however, is dim and the keyboard feels cheap.",
    "Great location, friendly staff, and a breakfast worth getting up for.",
    "The café's menu 😀 was great; bad wine.",
]


def drill(image: dict[str, Any], models: Path, work: Path, *, texts: Sequence[str] = TEXTS) -> tuple[Row, Comparison]:
    """One call's answer, and all of the pipeline's beside the single container's. `image`: what `Images` says of it."""
    stages = [container(models / name, ContainerHostname=name) for name in ("aspect", "sentiment")]
    exact = image | {"Environment": image.get("Environment", {}) | EXACT}
    described = configuration(
        {"absa": exact},
        [
            {"ModelName": "single", "PrimaryContainer": container(models)},
            {"ModelName": "pipeline", "Containers": stages},
        ],
    )
    with stand(described, work) as running:
        client = running.client()
        answer = invoke(client, "pipeline", Body=f'{{"text": "{texts[0]}"}}')
        rated = [one["polarity"] for one in answer["aspects"]]
        return Row("pipeline", str(answer)[:100], bool(rated) and all(rated)), compare(client, texts)


def main(
    image: Annotated[str, typer.Option(help="name and tag of the container image")],
    models: Annotated[Path, typer.Option(help="folder with aspect/ and sentiment/")],
) -> None:
    """Starts three containers, calls them, ends them."""
    console = Console()
    with tempfile.TemporaryDirectory() as work:
        row, comparison = drill({"Docker": image}, models, Path(work))
    console.print(f"pipeline of two containers: {row.answer}")
    console.print(
        f"beside one container: {comparison.different} of {comparison.texts} answers differ in more than scores, "
        f"largest difference of a score {comparison.largest_difference:.1e}"
    )
    is_equal = comparison.different == 0 and comparison.largest_difference <= TOLERANCE
    raise typer.Exit(0 if row.is_right and is_equal else 1)


if __name__ == "__main__":
    typer.run(main)
