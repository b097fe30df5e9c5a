"""The SAM template with its local files in S3, as `absa deploy --with api` hands it over."""

import io
import json
import zipfile

import boto3
import pytest

from absa_server.cloud.errors import BadTemplate
from absa_server.cloud.function_package import Packager, function_zip
from absa_server.cloud.template import parse_template

from .scenes import INFRA

TEMPLATE = """
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: code/, Runtime: python3.13, Architectures: [arm64], Handler: app.handler}
  Api:
    Type: AWS::Serverless::Api
    Properties:
      DefinitionBody: {"Fn::Transform": {Name: AWS::Include, Parameters: {Location: openapi.yaml}}}
"""


@pytest.fixture
def folder(tmp_path):
    """A function that needs nothing, and a document."""
    (tmp_path / "code" / "absa_invoke" / "__pycache__").mkdir(parents=True)
    (tmp_path / "code" / "absa_invoke" / "app.py").write_text("handler = print\n", encoding="utf-8")
    (tmp_path / "code" / "absa_invoke" / "__pycache__" / "app.pyc").write_bytes(b"x")
    (tmp_path / "code" / "requirements.txt").write_text("", encoding="utf-8")
    (tmp_path / "openapi.yaml").write_text("openapi: 3.0.1\n", encoding="utf-8")
    return tmp_path


def packager(region: str, folder) -> Packager:
    s3 = boto3.client("s3", region)
    return Packager(s3, bucket="artifacts", endpoint="absa", folder=folder)


@pytest.fixture
def bucket(account):
    s3 = boto3.client("s3", account)
    s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": account})
    return s3


def test_local_files_are_replaced_by_objects(account, bucket, folder):
    """The zip holds the function and no byte code; the document is included from S3, from wherever it is named."""
    packed = json.loads(packager(account, folder).packaged(parse_template(TEMPLATE, name="api")))
    code = packed["Resources"]["Function"]["Properties"]["CodeUri"]
    prefix = "s3://artifacts/"
    assert code.startswith(f"{prefix}code/absa/")
    body = bucket.get_object(Bucket="artifacts", Key=code.removeprefix(prefix))["Body"].read()
    assert sorted(zipfile.ZipFile(io.BytesIO(body)).namelist()) == ["absa_invoke/app.py", "requirements.txt"]
    body = packed["Resources"]["Api"]["Properties"]["DefinitionBody"]["Fn::Transform"]["Parameters"]["Location"]
    assert bucket.get_object(Bucket="artifacts", Key=body.removeprefix(prefix))["Body"].read() == b"openapi: 3.0.1\n"


def test_same_function_is_the_same_template(account, bucket, folder):
    """Packed twice, uploaded once; another function is another key."""
    template = parse_template(TEMPLATE, name="api")
    first = packager(account, folder).packaged(template)
    assert packager(account, folder).packaged(template) == first
    assert len(bucket.list_objects_v2(Bucket="artifacts")["Contents"]) == 2
    (folder / "code" / "absa_invoke" / "app.py").write_text("handler = repr\n", encoding="utf-8")
    assert packager(account, folder).packaged(template) != first


def test_what_is_missing_is_named(account, bucket, folder):
    """The requirements, what pip cannot find for Lambda, the included document."""
    properties = {"Runtime": "python3.13", "Architectures": ["arm64"]}
    with pytest.raises(BadTemplate, match=r"requirements\.txt: not there"):
        function_zip(folder, properties)
    (folder / "openapi.yaml").unlink()
    with pytest.raises(BadTemplate, match=r"openapi\.yaml"):
        packager(account, folder).packaged(parse_template(TEMPLATE, name="api"))
    (folder / "code" / "requirements.txt").write_text("./no-such-folder\n", encoding="utf-8")
    with pytest.raises(BadTemplate, match="pip could not install"):
        function_zip(folder / "code", properties)


def test_our_template_names_what_is_packed():
    """One function with a folder, two APIs that include one document."""
    text = (INFRA / "api.yaml").read_text(encoding="utf-8")
    assert text.count("CodeUri: invoke_lambda/") == 1
    assert text.count("Location: openapi.yaml") == 2
