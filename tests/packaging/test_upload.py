"""Artifacts uploaded to a real S3 server and to moto, and fetched again by what fetches them in service."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from moto import mock_aws

from absa_server.packaging.errors import InvalidInputs, UploadRefused
from absa_server.packaging.s3_upload import S3Upload, UploadOptions
from absa_server.packaging.upload import Target, parse_target, upload
from model_loader import ArtifactCorrupt, Deadline, Limits, StoreRefused
from model_loader.manifest import write_manifest
from model_loader.packing import write_archive
from model_loader.s3_client import make_client
from model_loader.s3_source import S3Source
from tests.faults.proxy import FaultProxy, Rule

ABSA = str(Path(sys.executable).parent / "absa")
# The least that S3 takes as a part.
PART = 5 << 20
OPTIONS = UploadOptions(part_bytes=PART, attempts=3)
OVERWRITE = UploadOptions(is_overwriting=True, part_bytes=PART, attempts=3)


@pytest.fixture
def moto_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of moto's, which keeps checksums of multipart uploads."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "k"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    with mock_aws(), closing(make_client()) as client:
        client.create_bucket(Bucket="models")
        yield "models"


@pytest.fixture
def proxy(s3_url: str) -> Iterator[FaultProxy]:
    """The real server behind a proxy without rules yet."""
    parts = urlsplit(s3_url)
    with FaultProxy((parts.hostname, parts.port or 80)) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a manifest; its archive does not compress below two parts."""
    root = tmp_path_factory.mktemp("artifact")
    (root / "aspect").mkdir()
    (root / "aspect" / "model.safetensors").write_bytes(random.Random(1).randbytes(PART + 1000))
    (root / "absa.json").write_text("{}")
    write_manifest(root)
    return root


@pytest.fixture
def archive(artifact: Path, tmp_path: Path) -> Path:
    write_archive(artifact, tmp_path / "model.tar.gz")
    return tmp_path / "model.tar.gz"


def send(source: Path, bucket: str, key: str, options: UploadOptions = OPTIONS, **more):
    return upload(source, Target(bucket, key), options, **more)


def fetched(bucket: str, name: str, into: Path) -> dict[str, bytes]:
    into.mkdir()
    with closing(make_client()) as client:
        source, deadline = S3Source(client, bucket), Deadline(60)
        version = source.resolve(name, deadline=deadline)
        source.fetch(version, into, limits=Limits(max_bytes=1 << 30), deadline=deadline)
    return on_disk(into)


def on_disk(root: Path) -> dict[str, bytes]:
    return {one.relative_to(root).as_posix(): one.read_bytes() for one in root.rglob("*") if one.is_file()}


def test_large_archive_goes_in_parts_with_a_checksum_of_the_whole(
    moto_bucket: str, archive: Path, artifact: Path, tmp_path: Path
) -> None:
    """CRC-32 of type FULL_OBJECT, which the loader recomputes; every byte is told as it goes."""
    sent: list[int] = []
    uploaded = send(archive, moto_bucket, "m/model.tar.gz", watch=sent.append)
    assert (uploaded.verified, uploaded.notes) == ({"crc32": 1}, [])
    assert sum(sent) == archive.stat().st_size == uploaded.bytes
    with closing(make_client()) as client:
        head = client.head_object(Bucket=moto_bucket, Key="m/model.tar.gz", ChecksumMode="ENABLED")
        assert (head["ChecksumType"], head["ETag"].strip('"')[-2:]) == ("FULL_OBJECT", "-2")
    assert fetched(moto_bucket, "m/model.tar.gz", tmp_path / "out") == on_disk(artifact)


def test_store_that_keeps_no_checksum_of_parts_gets_one_piece(
    s3, bucket: str, archive: Path, artifact: Path, tmp_path: Path
) -> None:
    """Its ETag is the MD5 then; the parts that were begun are given up, and the user is told."""
    sent: list[int] = []
    uploaded = send(archive, bucket, "one-piece/model.tar.gz", watch=sent.append)
    assert uploaded.verified == {"md5": 1}
    assert uploaded.notes == ["sent in one piece: the store keeps no checksum of an object that comes in parts"]
    assert sum(sent) == archive.stat().st_size
    assert fetched(bucket, "one-piece/model.tar.gz", tmp_path / "out") == on_disk(artifact)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_parts_are_sent_where_one_piece_is_too_large(s3, bucket: str, archive: Path) -> None:
    """Verified by size then, which is told."""
    options = UploadOptions(part_bytes=PART, single_bytes=PART)
    assert send(archive, bucket, "parts/model.tar.gz", options).verified == {"size alone": 1}


@pytest.mark.parametrize("size", [0, 10, PART, PART + 1])
def test_object_of_another_is_never_overwritten(s3, bucket: str, tmp_path: Path, size: int) -> None:
    """Whatever its size; the same bytes are there already, and with --overwrite the new ones take their place."""
    file, key = tmp_path / "model.tar.gz", f"taken/{size}.tar.gz"
    file.write_bytes(random.Random(size).randbytes(size))
    send(file, bucket, key)
    assert send(file, bucket, key).unchanged == 1
    file.write_bytes(b"1" * size + b"2")
    with pytest.raises(UploadRefused, match=f"s3://{bucket}/{key} is there already; .* --overwrite"):
        send(file, bucket, key)
    send(file, bucket, key, OVERWRITE)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == file.read_bytes()


@pytest.mark.parametrize("is_large", [False, True])
def test_object_that_appears_meanwhile_is_not_overwritten(
    is_large: bool, moto_bucket: str, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and sending: the store itself refuses (If-None-Match), and no parts are left."""
    if not is_large:
        archive.write_bytes(b"small")
    with closing(make_client()) as client:
        uploader = S3Upload(client, moto_bucket, OPTIONS)
        there = uploader._there

        def look(key):
            monkeypatch.setattr(uploader, "_there", there)
            client.put_object(Bucket=moto_bucket, Key=key, Body=b"theirs")

        monkeypatch.setattr(uploader, "_there", look)
        with pytest.raises(UploadRefused, match="is there already"):
            uploader.archive(archive, "model.tar.gz")
        assert client.get_object(Bucket=moto_bucket, Key="model.tar.gz")["Body"].read() == b"theirs"
        assert "Uploads" not in client.list_multipart_uploads(Bucket=moto_bucket)


def test_answer_that_is_lost_is_no_other_upload(bucket: str, archive: Path, proxy: FaultProxy) -> None:
    """The object was stored, the connection broke: the second attempt finds our own bytes."""
    archive.write_bytes(b"small")
    put = proxy.add(Rule(when=lambda request: request.method == "PUT", drop_after=0))
    assert send(archive, bucket, "lost.tar.gz", endpoint_url=proxy.url).verified == {"md5": 1}
    assert put.met.is_set()


def test_failures_that_pass_are_tried_again(bucket: str, archive: Path, proxy: FaultProxy) -> None:
    """503 SlowDown twice; what is told of the progress is what was sent in the end."""
    sent: list[int] = []
    proxy.add(Rule(when=lambda request: request.method == "PUT", times=2, status=503, code="SlowDown"))
    send(archive, bucket, "slow.tar.gz", endpoint_url=proxy.url, watch=sent.append)
    assert sum(sent) >= archive.stat().st_size


def test_object_that_is_not_what_was_sent_is_found(bucket: str, archive: Path, proxy: FaultProxy) -> None:
    """Another writer won after ours: what lies there is compared with the file."""
    archive.write_bytes(b"small")
    proxy.add(
        Rule(
            when=lambda request: request.method == "HEAD" and any(one.method == "PUT" for one in proxy.requests),
            answer_headers={"ETag": '"00000000000000000000000000000000"'},
        )
    )
    with pytest.raises(UploadRefused, match="which is not what was sent"):
        send(archive, bucket, "changed.tar.gz", endpoint_url=proxy.url)


def test_role_that_may_only_put_uploads_unverified(bucket: str, archive: Path, proxy: FaultProxy) -> None:
    """Looking is refused; the store's own condition keeps what is there, and the user is told."""
    archive.write_bytes(b"small")
    may_not_look = Rule(when=lambda one: one.method in {"GET", "HEAD"}, times=None, status=403, code="AccessDenied")
    proxy.add(may_not_look)
    uploaded = send(archive, bucket, "blind.tar.gz", endpoint_url=proxy.url)
    assert (uploaded.verified, len(uploaded.notes)) == ({}, 1)
    with pytest.raises(UploadRefused, match="is there already"):
        send(archive, bucket, "blind.tar.gz", endpoint_url=proxy.url)


def test_folder_is_a_model_of_its_own_and_replaced_whole(
    s3, bucket: str, artifact: Path, tmp_path: Path, proxy: FaultProxy
) -> None:
    """The manifest goes first, what is no part of the new one is deleted, and nothing is half there unnoticed."""
    uploaded = send(artifact, bucket, "folders/one")
    assert (uploaded.objects, sum(uploaded.verified.values())) == (3, 3)
    assert fetched(bucket, "folders/one", tmp_path / "out") == on_disk(artifact)
    with pytest.raises(UploadRefused, match="is there already"):
        send(artifact, bucket, "folders/one")
    other = tmp_path / "other"
    other.mkdir()
    (other / "absa.json").write_text("[]")
    write_manifest(other)
    proxy.add(Rule(when=lambda one: one.method == "PUT" and "absa.json" in one.path, times=None, status=403))
    with pytest.raises(StoreRefused):
        send(other, bucket, "folders/one", OVERWRITE, endpoint_url=proxy.url)
    with pytest.raises(ArtifactCorrupt):
        fetched(bucket, "folders/one", tmp_path / "half")
    send(other, bucket, "folders/one", OVERWRITE)
    assert fetched(bucket, "folders/one", tmp_path / "whole") == on_disk(other)


@pytest.mark.parametrize(
    ("address", "telling"),
    [
        ("http://bucket/model.tar.gz", "expected an address such as s3://bucket/models/model.tar.gz"),
        ("s3:///model.tar.gz", "the bucket is missing"),
        ("s3://bucket/a//model.tar.gz", "empty segment"),
        ("s3://bucket/../model.tar.gz", r"segment '\.\.'"),
        ("s3://bucket/model", "servers read what ends in .tar.gz"),
    ],
)
def test_address_that_no_server_could_name_is_refused(address: str, telling: str) -> None:
    """Before anything is asked."""
    with pytest.raises(InvalidInputs, match=telling):
        parse_target(address, Path("model.tar.gz"))


def test_address_with_a_slash_takes_the_name_of_the_source(tmp_path: Path) -> None:
    """A file's or a folder's; a folder may not look like an archive."""
    assert parse_target("s3://bucket/m/", Path("model.tar.gz")) == Target("bucket", "m/model.tar.gz")
    assert parse_target("s3://bucket", Path("model.tar.gz")) == Target("bucket", "model.tar.gz")
    assert parse_target("s3://bucket/m/", tmp_path) == Target("bucket", f"m/{tmp_path.name}")
    with pytest.raises(InvalidInputs, match="is a folder, and servers"):
        parse_target("s3://bucket/m.tar.gz", tmp_path)


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ABSA, "upload-model", *arguments],
        env=os.environ | {"COLUMNS": "200"} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_command_uploads_and_reports(s3, bucket: str, archive: Path) -> None:
    """Once; the second time what is there is there."""
    arguments = ("--file", str(archive), "--to", f"s3://{bucket}/command/")
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    assert "verified: 1 by md5" in done.stdout
    assert "1 of them there already" in command(*arguments).stdout


@pytest.mark.parametrize(
    ("key", "variables", "telling"),
    [
        ("absent-bucket-of-nobody", {}, "there is no such bucket"),
        ("{bucket}", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch"),
        ("{bucket}", {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true",
                      "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}, "a role or AWS credentials"),
    ],
    ids=["bucket", "secret", "none"],
)  # fmt: skip
def test_command_tells_what_the_store_refused(
    s3, bucket: str, archive: Path, key: str, variables: dict[str, str], telling: str
) -> None:
    """One line, no traceback, exit code 1."""
    done = command("--file", str(archive), "--to", f"s3://{key.format(bucket=bucket)}/m.tar.gz", **variables)
    assert done.returncode == 1
    assert telling in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
