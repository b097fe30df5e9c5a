"""`absa package-model`: model folders in, `model.tar.gz` out. Knows what is typed and shown, not how packing works.

What packs is imported by the functions that need it: `absa --help` is quick.
"""

import logging
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.status import Status

    from absa_server.packaging.int8 import Int8Options
    from absa_server.packaging.package import Packed

Models = Annotated[
    Path | None,
    typer.Option(help="A folder with aspect/ and sentiment/ (either may be absent), or one model's.", exists=True,
                 file_okay=False),
]  # fmt: skip
AspectDir = Annotated[
    Path | None, typer.Option("--aspect", help="The aspect model's folder.", exists=True, file_okay=False)
]
SentimentDir = Annotated[
    Path | None, typer.Option("--sentiment", help="The sentiment model's folder.", exists=True, file_okay=False)
]
AbsaJsonFile = Annotated[
    Path | None,
    typer.Option(help="What config.json cannot tell, instead of the folder's own.", exists=True, dir_okay=False),
]
Out = Annotated[Path, typer.Option(help="The archive to write; an earlier one is replaced.", dir_okay=False)]
Compiled = Annotated[
    bool,
    typer.Option("--compiled/--no-compiled", help="Put the compiled networks in: nothing is converted in service."),
]
CompiledOnly = Annotated[
    bool, typer.Option("--compiled-only", help="Leave the safetensors out: smaller, and never run on torch.")
]
Measure = Annotated[
    bool, typer.Option("--measure/--no-measure", help="Measure the memory of a load, for the server's cache of models.")
]
Int8 = Annotated[bool, typer.Option("--int8", help="Put int8 networks in, and measure what they cost in answers.")]
Calibrate = Annotated[
    Path | None,
    typer.Option(
        help="Real reviews for --int8, JSON Lines with `text`, best with `aspects`.", exists=True, dir_okay=False
    ),
]
MaxDrop = Annotated[
    float, typer.Option(help="Refuse int8 that costs more of F1 or accuracy on held-out reviews.", min=0, max=1)
]
RecipeNames = Annotated[
    list[str] | None, typer.Option("--recipe", help="Try only these ways to int8; default: all, the best is kept.")
]
CACHE_DIR = Path(tempfile.gettempdir()) / "absa-cache"

CacheDir = Annotated[
    Path, typer.Option(help="Where networks and measurements are kept for the next time; as ABSA_CACHE_DIR.")
]


def package_model(  # noqa: PLR0913  one parameter an option
    *,
    models: Models = None,
    aspect: AspectDir = None,
    sentiment: SentimentDir = None,
    absa_json: AbsaJsonFile = None,
    out: Out = Path("model.tar.gz"),
    compiled: Compiled = True,
    compiled_only: CompiledOnly = False,
    measure: Measure = True,
    int8: Int8 = False,
    calibrate: Calibrate = None,
    max_drop: MaxDrop = 0.005,
    recipe: RecipeNames = None,
    cache_dir: CacheDir = CACHE_DIR,
) -> None:
    """Pack models into an artifact that a server loads fast: checked, converted, with checksums and a self-test.

    The archive has its files at the root and no links; the same models give the same bytes. It is opened and loaded
    once before it gets its name; what the server would refuse is refused here, with the same message.

    With `--int8` several recipes are calibrated on one part of your reviews and judged on another: by F1 and accuracy
    where the lines have `aspects` with `start`, `end` and `polarity`, else by how many answers change. The best is
    packed with its figures; past `--max-drop` nothing is. It takes minutes, and needs the package nncf.

    For example:

    - `absa package-model --models .demo/models --out model.tar.gz`

    - `absa package-model --aspect runs/ate --sentiment runs/asc --absa-json absa.json --compiled-only`

    - `absa package-model --models .demo/models --int8 --calibrate reviews.jsonl --max-drop 0.005`
    """
    from absa_server.errors import InvalidModel  # noqa: PLC0415
    from absa_server.packaging.errors import PackagingError  # noqa: PLC0415
    from absa_server.packaging.package import PackOptions, package, told_as_one  # noqa: PLC0415
    from absa_server.packaging.staging import Inputs  # noqa: PLC0415

    console = Console(highlight=False)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    inputs = Inputs(models, aspect, sentiment, absa_json)
    try:
        options = PackOptions(compiled, compiled_only, measure, _int8(calibrate, max_drop, recipe) if int8 else None)
        with console.status("packing") as status, told_as_one():
            packed = package(inputs, out, options, cache_dir=cache_dir, say=lambda step: _tell(step, status, console))
    except (InvalidModel, PackagingError) as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from None
    _show(packed, console)


def _int8(calibrate: Path | None, max_drop: float, recipe: list[str] | None) -> "Int8Options":
    from absa_server.packaging.int8 import Int8Options  # noqa: PLC0415
    from absa_server.packaging.recipes import BY_NAME, RECIPES  # noqa: PLC0415

    if calibrate is None:
        raise typer.BadParameter("--int8 needs --calibrate with real reviews")
    if find_spec("nncf") is None:
        raise typer.BadParameter("--int8 needs the package nncf: pip install absa-server[int8]")
    unknown = sorted(set(recipe or ()) - set(BY_NAME))
    if unknown:
        raise typer.BadParameter(f"expected recipes of {', '.join(BY_NAME)}, got {', '.join(unknown)}")
    return Int8Options(calibrate, max_drop, tuple(BY_NAME[name] for name in recipe) if recipe else RECIPES)


def _tell(step: str, status: "Status", console: Console) -> None:
    """The present step beside the spinner; figures stay on the screen."""
    status.update(escape(step))
    if "speedup" in step:
        console.print(escape(step), soft_wrap=True)


def _show(packed: "Packed", console: Console) -> None:
    table = Table("file", "bytes")
    table.columns[1].justify = "right"
    for name, size in sorted(packed.files.items()):
        table.add_row(escape(name), f"{size:,}")
    console.print(table)
    if packed.left_out:
        console.print(f"left out, because no server reads it: {escape(', '.join(packed.left_out))}", soft_wrap=True)
    for name, figures in packed.int8.items():
        shown = ", ".join(f"{field} {value}" for field, value in figures.items())
        console.print(f"{escape(name)}/ in int8: {escape(shown)}", soft_wrap=True)
    for precision, footprint in packed.measured.items():
        resident, peak = footprint.resident_bytes / 1e6, footprint.peak_bytes / 1e6
        console.print(f"a load in {precision}: {resident:,.0f} MB resident, {peak:,.0f} MB at its peak")
    if not packed.answers:
        console.print("[yellow]no self-test:[/yellow] the model finds nothing in the texts of the self-test, or its "
                      "precisions disagree on them", soft_wrap=True)  # fmt: skip
    console.print(f"{escape(str(packed.file))}: {packed.kind}, {packed.size_bytes:,} bytes", soft_wrap=True)
    console.print(f"sha256 {packed.sha256}", soft_wrap=True)
