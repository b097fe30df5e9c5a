"""A SAM template made ready for CloudFormation: the function as a zip, the API's document beside it, both in S3.

What `sam package` does, for the two places that our template has. Keys are hashes of the content: the same function is
uploaded once and is no change of the stack.
"""

import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from absa_server.cloud.aws import error_code
from absa_server.cloud.errors import BadTemplate
from absa_server.cloud.template import Template

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REQUIREMENTS = "requirements.txt"
_FUNCTION = "AWS::Serverless::Function"
# Wheels for Lambda's own machines, whatever this one is.
_PLATFORMS = {"arm64": "manylinux2014_aarch64", "x86_64": "manylinux2014_x86_64"}


class Packager:
    """Puts the local files that a template names below `code/<endpoint>/` of the artifacts bucket."""

    def __init__(self, s3: "S3Client", *, bucket: str, endpoint: str, folder: Path) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = f"code/{endpoint}/"
        self._folder = folder

    def packaged(self, template: Template) -> str:
        """The template as JSON, its local files replaced by where they lie in S3. Raises `BadTemplate`."""
        packed: dict[str, Any] = json.loads(json.dumps(template))
        for resource in packed["Resources"].values():
            if resource["Type"] == _FUNCTION:
                properties = resource["Properties"]
                body = function_zip(self._folder / properties["CodeUri"], properties)
                properties["CodeUri"] = f"s3://{self._bucket}/{self._upload(body, 'zip')}"
        for parameters in _includes(packed):
            body = self._read(str(parameters["Location"]))
            parameters["Location"] = f"s3://{self._bucket}/{self._upload(body, 'yaml')}"
        return json.dumps(packed, indent=1)

    def _read(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise BadTemplate(f"{self._folder / name}: {error.strerror}; the template includes it") from error

    def _upload(self, body: bytes, ending: str) -> str:
        key = f"{self._prefix}{hashlib.sha256(body).hexdigest()}.{ending}"
        try:
            self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error_code(error) not in {"404", "NoSuchKey"}:
                raise
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)
        return key


def function_zip(folder: Path, properties: dict[str, Any]) -> bytes:
    """The function's files and what they require, the same bytes for the same files. Raises `BadTemplate`."""
    if not (folder / REQUIREMENTS).is_file():
        raise BadTemplate(f"{folder / REQUIREMENTS}: not there; it names what the function needs beside the runtime")
    with tempfile.TemporaryDirectory() as installed:
        _install(folder / REQUIREMENTS, Path(installed), properties)
        output = io.BytesIO()
        with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
            for root in (Path(installed), folder):
                for file in sorted(_files(root)):
                    _add(archive, file.relative_to(root).as_posix(), file.read_bytes())
        return output.getvalue()


def _install(requirements: Path, target: Path, properties: dict[str, Any]) -> None:
    (architecture,) = properties["Architectures"]
    arguments = [
        "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target", str(target),
        "--requirement", str(requirements), "--only-binary", ":all:", "--implementation", "cp",
        "--platform", _PLATFORMS[architecture], "--python-version", str(properties["Runtime"]).removeprefix("python"),
    ]  # fmt: skip
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BadTemplate(f"{requirements}: pip could not install it for Lambda: {done.stderr.strip()}")


def _files(root: Path) -> Iterator[Path]:
    return (file for file in root.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def _add(archive: zipfile.ZipFile, name: str, body: bytes) -> None:
    member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    # Lambda runs it as another user.
    member.external_attr = 0o644 << 16
    archive.writestr(member, body)


def _includes(node: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  any part of a template
    """The parameters of every AWS::Include below `node`."""
    if isinstance(node, list):
        for each in node:
            yield from _includes(each)
    elif isinstance(node, dict):
        transform = node.get("Fn::Transform")
        if isinstance(transform, dict) and transform.get("Name") == "AWS::Include":
            yield transform["Parameters"]
        for each in node.values():
            yield from _includes(each)
