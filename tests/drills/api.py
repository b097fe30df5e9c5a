"""Every route of the API and every row of its error table: the Lambda function, unmodified, behind a local API Gateway.

HTTP -> proxy event -> handler -> boto3 -> local-sagemaker -> a real server process. What a real container does not do
is done by a scripted one behind local-sagemaker, and what SageMaker itself would have to do by a scripted runtime, over
HTTP. Run by `make drill-api`, which prints the calls and what came back, and ends with what of infra/openapi.yaml was
not seen. Needs a real S3 server: AWS_ENDPOINT_URL_S3 and credentials for it.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.drills.api_calls import Row
from tests.drills.api_errors import ask_for_errors
from tests.drills.api_routes import ask_routes
from tests.drills.api_stand import stand
from tests.infra.invoke_lambda.conformance import Conformance

Documented = tuple[str, str, str]


def drill(models: Path, work: Path, *, threads: str = "", is_small: bool = False) -> tuple[list[Row], list[Documented]]:
    """All calls, and the documented answers that none of them got.

    `is_small` has one real server instead of three, and asks for each row of the error table by POST only.
    """
    conformance = Conformance()
    with stand(models, work, threads=threads, is_small=is_small) as running:
        rows = ask_routes(running, conformance) + ask_for_errors(running, conformance, is_small=is_small)
    return rows, conformance.unseen()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder with aspect/ and sentiment/")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work, Console().status("calling …"):
        rows, unseen = drill(arguments.models, Path(work))
    table = Table("call", "status", "what came back", "as it should be")
    for row in rows:
        table.add_row(row.call, str(row.status), row.answer, "yes" if not row.complaints else "; ".join(row.complaints))
    console = Console()
    console.print(table)
    console.print(f"{len(rows)} calls, {sum(not row.complaints for row in rows)} as they should be")
    console.print(f"documented answers that were not seen: {unseen or 'none'}")
    return 0 if not unseen and not any(row.complaints for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
