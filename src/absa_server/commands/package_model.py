"""`absa package-model`: model folders in, `model.tar.gz` out. Knows what is typed and shown, not how packing works.

What packs is imported by the functions that need it: `absa --help` is quick.
"""

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
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
    cache_dir: CacheDir = CACHE_DIR,
) -> None:
    """Pack models into an artifact that a server loads fast: checked, converted, with checksums and a self-test.

    The archive has its files at the root and no links; the same models give the same bytes. It is opened and loaded
    once before it gets its name; what the server would refuse is refused here, with the same message.

    For example:

    - `absa package-model --models .demo/models --out model.tar.gz`

    - `absa package-model --aspect runs/ate --sentiment runs/asc --absa-json absa.json --compiled-only`
    """
    from absa_server.errors import InvalidModel  # noqa: PLC0415
    from absa_server.packaging.errors import PackagingError  # noqa: PLC0415
    from absa_server.packaging.package import PackOptions, package, told_as_one  # noqa: PLC0415
    from absa_server.packaging.staging import Inputs  # noqa: PLC0415

    console = Console(highlight=False)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    inputs = Inputs(models, aspect, sentiment, absa_json)
    options = PackOptions(compiled, compiled_only, measure)
    try:
        with console.status("packing") as status, told_as_one():
            packed = package(inputs, out, options, cache_dir=cache_dir, say=lambda step: status.update(escape(step)))
    except (InvalidModel, PackagingError) as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from None
    _show(packed, console)


def _show(packed: "Packed", console: Console) -> None:
    table = Table("file", "bytes")
    table.columns[1].justify = "right"
    for name, size in sorted(packed.files.items()):
        table.add_row(escape(name), f"{size:,}")
    console.print(table)
    if packed.left_out:
        console.print(f"left out, because no server reads it: {escape(', '.join(packed.left_out))}", soft_wrap=True)
    for precision, footprint in packed.measured.items():
        resident, peak = footprint.resident_bytes / 1e6, footprint.peak_bytes / 1e6
        console.print(f"a load in {precision}: {resident:,.0f} MB resident, {peak:,.0f} MB at its peak")
    if not packed.answers:
        console.print("[yellow]no self-test:[/yellow] the model finds nothing in the texts of the self-test, or its "
                      "precisions disagree on them", soft_wrap=True)  # fmt: skip
    console.print(f"{escape(str(packed.file))}: {packed.kind}, {packed.size_bytes:,} bytes", soft_wrap=True)
    console.print(f"sha256 {packed.sha256}", soft_wrap=True)
