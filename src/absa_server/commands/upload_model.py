"""`absa upload-model`: an artifact into S3. Knows what is typed and shown, not how uploading works.

What uploads is imported by the functions that need it: `absa --help` is quick.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

if TYPE_CHECKING:
    from absa_server.packaging.s3_upload import Uploaded

Source = Annotated[Path, typer.Option("--file", help="The model.tar.gz to upload, or a model's folder.", exists=True)]
To = Annotated[str, typer.Option("--to", help="s3://bucket/key; with a slash at its end, the file's own name follows.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what lies there.")]
Endpoint = Annotated[str | None, typer.Option(help="Another S3 than AWS's, such as http://127.0.0.1:9000.")]
Region = Annotated[str | None, typer.Option(help="The bucket's Region, if not the one that is configured.")]


def upload_model(
    *,
    file: Source,
    to: To,
    overwrite: Overwrite = False,
    endpoint_url: Endpoint = None,
    region: Region = None,
) -> None:
    """Upload an artifact to S3, with a checksum that every server verifies, and never over another one unless told.

    Large files go in parts, side by side; a folder goes file by file, its manifest first. What lies there already with
    the same bytes is left as it is. Credentials and Region come from where the AWS tools find them. The role needs
    s3:PutObject, and s3:GetObject and s3:ListBucket to look before and after.

    For example:

    - `absa upload-model --file model.tar.gz --to s3://my-bucket/models/restaurants.tar.gz`

    - `absa upload-model --file .demo/models --to s3://my-bucket/models/restaurants --overwrite`
    """
    from absa_server.packaging.errors import PackagingError  # noqa: PLC0415
    from absa_server.packaging.s3_upload import UploadOptions  # noqa: PLC0415
    from absa_server.packaging.upload import parse_target, size_of, upload  # noqa: PLC0415
    from model_loader import ArtifactError  # noqa: PLC0415

    console = Console(highlight=False)
    try:
        target = parse_target(to, file)
        with _bar(console) as bar:
            task = bar.add_task(escape(target.key), total=size_of(file))
            options = UploadOptions(is_overwriting=overwrite)
            uploaded = upload(
                file, target, options, watch=lambda n: bar.advance(task, n), endpoint_url=endpoint_url, region=region
            )
    except (PackagingError, ArtifactError) as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from None
    _show(uploaded, console)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=console)


def _show(uploaded: "Uploaded", console: Console) -> None:
    for note in dict.fromkeys(uploaded.notes):
        console.print(f"[yellow]note:[/yellow] {escape(note)}", soft_wrap=True)
    verified = ", ".join(f"{count} by {algorithm}" for algorithm, count in uploaded.verified.items())
    unchanged = f", {uploaded.unchanged} of them there already" if uploaded.unchanged else ""
    console.print(
        f"{escape(uploaded.uri)}: {uploaded.objects} objects, {uploaded.bytes:,} bytes{unchanged}; "
        f"verified: {verified or 'none'}",
        soft_wrap=True,
    )
