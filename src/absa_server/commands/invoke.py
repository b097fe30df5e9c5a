"""`absa invoke`: one call of an endpoint, through SageMaker's own client. Knows what is typed and shown."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

Endpoint = Annotated[str, typer.Option(help="The endpoint's name.")]
Text = Annotated[str | None, typer.Option(help="One review.")]
File = Annotated[
    Path | None,
    typer.Option(help="A body to send as it is: JSON, JSON Lines, CSV or text, by the file's ending; - for stdin.",
                 allow_dash=True),
]  # fmt: skip
TargetModel = Annotated[str | None, typer.Option(help="Archive of a multi-model endpoint, such as hotels.tar.gz.")]
ContentType = Annotated[str | None, typer.Option(help="The body's type, where the file's ending does not tell it.")]
Accept = Annotated[str, typer.Option(help="The answer's type.")]
EndpointUrl = Annotated[str | None, typer.Option(help="Of another SageMaker Runtime, such as local-sagemaker's.")]
Region = Annotated[str | None, typer.Option(help="Region; else AWS_REGION, or the profile's.")]
Profile = Annotated[str | None, typer.Option(help="Profile of the AWS configuration.")]

JSON = "application/json"
_TYPES = {".json": JSON, ".jsonl": "application/jsonlines", ".csv": "text/csv", ".txt": "text/plain"}


def invoke(  # noqa: PLR0913  one parameter an option
    *,
    endpoint: Endpoint,
    text: Text = None,
    file: File = None,
    target_model: TargetModel = None,
    content_type: ContentType = None,
    accept: Accept = JSON,
    endpoint_url: EndpointUrl = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Call an endpoint once and print its answer; what is refused is explained. Exit code 1 then.

    JSON is printed indented; any other type as it came.

    For example:

    - `absa invoke --endpoint absa --text "The pasta was superb, but the service was slow."`

    - `absa invoke --endpoint absa --file reviews.jsonl --target-model hotels.tar.gz`

    - `absa invoke --endpoint absa --text "Great food." --endpoint-url http://127.0.0.1:8100`
    """
    from absa_server.cloud.errors import CloudError  # noqa: PLC0415  boto3 takes half a second
    from absa_server.cloud.invocation import Call, open_runtime  # noqa: PLC0415
    from absa_server.cloud.invocation import invoke as call_endpoint  # noqa: PLC0415

    body, its_type = _body(text, file)
    call = Call(endpoint, body, content_type or its_type, accept, target_model)
    try:
        client = open_runtime(region=region, profile=profile, endpoint_url=endpoint_url)
        answer = call_endpoint(client, call)
    except CloudError as error:
        Console(stderr=True, highlight=False).print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from None
    typer.echo(_shown(answer.body, answer.content_type))


def _body(text: str | None, file: Path | None) -> tuple[bytes, str]:
    if (text is None) == (file is None):
        raise typer.BadParameter("give either --text or --file")
    if text is not None:
        return json.dumps({"text": text}, ensure_ascii=False).encode("utf-8", "surrogatepass"), JSON
    assert file is not None  # noqa: S101  for the type checker
    if str(file) == "-":
        return sys.stdin.buffer.read(), JSON
    try:
        return file.read_bytes(), _TYPES.get(file.suffix.lower(), JSON)
    except OSError as error:
        raise typer.BadParameter(f"--file: {file} cannot be read ({error.strerror})") from error


def _shown(body: bytes, content_type: str) -> str:
    text = body.decode("utf-8", "replace")
    if not content_type.startswith(JSON) or content_type.startswith("application/jsonlines"):
        return text.rstrip("\n")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
