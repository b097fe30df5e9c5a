"""Artifacts in a real S3 server: brought whole, pinned and verified, whatever the way to it does."""

import hashlib
import itertools
import json
import math
import os
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from model_loader import (
    ArchiveBroken,
    ArchiveUnsafe,
    ArtifactCorrupt,
    ArtifactInvalid,
    ArtifactMissing,
    ArtifactReplaced,
    ArtifactTooLarge,
    Deadline,
    DeadlineExceeded,
    Limits,
    NameInvalid,
    StoreRefused,
    StoreUnavailable,
    fetch_current,
    width,
)
from model_loader.s3_source import S3Options, S3Source
from tests.faults.proxy import Rule
from tests.model_loader.archives import tar_gz_bytes
from tests.model_loader.conftest import OPTIONS, READ_TIMEOUT_S

LIMITS = Limits(max_bytes=1 << 30)
# Does not compress: about eleven parts.
FILES = {"aspect/model.safetensors": random.Random(1).randbytes(700_000), "absa.json": b"{}"}
OTHER = {"aspect/model.safetensors": random.Random(2).randbytes(700_000), "absa.json": b"[]"}
NAMES = ("model.tar.gz", "model")


def minute() -> Deadline:
    return Deadline(60)


def put_model(put, name, files):
    if name.endswith(".gz"):
        put(name, tar_gz_bytes(files))
    else:
        for path, data in files.items():
            put(f"{name}/{path}", data)


def fetch(source, name, into, *, limits=LIMITS, deadline=None):
    deadline = deadline or minute()
    return source.fetch(source.resolve(name, deadline=deadline), into, limits=limits, deadline=deadline)


def on_disk(root):
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def is_large_part(request):
    """A range of the large file, or of the archive."""
    return "range" in request.headers and "absa.json" not in request.path


def nth_range(number):
    """The `number`th range that is asked for, counted from 1."""
    counter = itertools.count(1)
    return lambda request: "range" in request.headers and next(counter) == number


def ranges(proxy):
    return [
        request.headers["range"] for request in proxy.requests if request.method == "GET" and "range" in request.headers
    ]


@pytest.mark.parametrize("name", NAMES)
def test_model_arrives_as_it_was_stored(name, source, put, tmp_path, proxy):
    """Every byte, in parallel ranges each asked for once; digests are taken on the way; no archive is left on disk."""
    put_model(put, name, FILES)
    fetched = fetch(source, name, tmp_path)
    assert on_disk(tmp_path) == FILES
    assert {path: entry.sha256 for path, entry in fetched.files.items()} == {
        path: hashlib.sha256(data).hexdigest() for path, data in FILES.items()
    }
    assert len(ranges(proxy)) == len(set(ranges(proxy))) > 10
    assert fetched.stats.written_bytes == sum(map(len, FILES.values()))
    assert (fetched.stats.retries, fetched.stats.requests >= len(ranges(proxy))) == (0, True)


@pytest.mark.parametrize("name", NAMES)
def test_version_changes_with_the_content_alone(name, source, put):
    """Asked twice the token is the same; after a file changed it is another."""
    put_model(put, name, FILES)
    first, again = source.resolve(name, deadline=minute()), source.resolve(name, deadline=minute())
    put_model(put, name, OTHER)
    assert first == again
    assert first.token != source.resolve(name, deadline=minute()).token


def test_resolve_costs_one_request(source, put, proxy):
    """So that a version can be checked often: a HEAD for an archive, a listing for a folder."""
    put_model(put, "model.tar.gz", FILES)
    put_model(put, "model", FILES)
    source.resolve("model.tar.gz", deadline=minute())
    assert [request.method for request in proxy.requests] == ["HEAD"]
    source.resolve("model", deadline=minute())
    assert len(proxy.requests) == 2


def test_names_are_paths_below_the_prefix(source, put, tmp_path):
    """`NewYork_NY/NewYork_NY.tar.gz` is one; one that leads out of the prefix is refused before anything is asked."""
    put_model(put, "NewYork_NY/NewYork_NY.tar.gz", FILES)
    assert fetch(source, "NewYork_NY/NewYork_NY.tar.gz", tmp_path).files.keys() == FILES.keys()
    with pytest.raises(NameInvalid, match=r"segment '\.\.'"):
        source.resolve("../other/model.tar.gz", deadline=minute())


@pytest.mark.parametrize("name", NAMES)
def test_missing_model_is_told_by_its_uri(name, source, bucket, prefix):
    """Nothing at the key, nothing below the folder."""
    with pytest.raises(ArtifactMissing, match=f"s3://{bucket}/{prefix}{name}"):
        source.resolve(name, deadline=minute())


def test_folder_marker_is_no_file(source, put, tmp_path):
    """Consoles store empty objects for folders; they are left out, and a folder of them alone is empty."""
    put("empty/", b"")
    put_model(put, "model", FILES)
    put("model/", b"")
    put("model/aspect/", b"")
    assert fetch(source, "model", tmp_path).files.keys() == FILES.keys()
    with pytest.raises(ArtifactMissing):
        source.resolve("empty", deadline=minute())


@pytest.mark.parametrize("path", ["a//b", "a/../b", "a\\b"])
def test_key_that_leads_astray_is_refused(path, source, put, tmp_path):
    """Keys may hold what no file's path may; nothing is written then."""
    put_model(put, "model", FILES)
    put(f"model/{path}", b"x")
    with pytest.raises(ArtifactInvalid, match="no path that is written"):
        fetch(source, "model", tmp_path)
    assert on_disk(tmp_path) == {}


def test_key_that_is_file_and_folder_is_refused(source, put, tmp_path):
    """S3 holds both `a` and `a/b`; no file system does."""
    put("model/a", b"x")
    put("model/a/b", b"x")
    with pytest.raises(ArchiveUnsafe, match="both a file and a folder"):
        fetch(source, "model", tmp_path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "fault",
    [
        {"drop_after": 10_000},
        {"truncate_to": 10_000},
        {"status": 503, "code": "SlowDown"},
        {"status": 500, "code": "InternalError"},
    ],
)
def test_passing_fault_is_retried(name, fault, source, put, tmp_path, proxy):
    """Dropped connections, short bodies, 503 SlowDown: asked again, and the artifact is whole."""
    put_model(put, name, FILES)
    proxy.add(Rule(when=is_large_part, times=3, **fault))
    fetched = fetch(source, name, tmp_path)
    assert on_disk(tmp_path) == FILES
    assert fetched.stats.retries == 3


@pytest.mark.parametrize("name", NAMES)
def test_lasting_fault_is_told_as_unavailable(name, source, put, tmp_path, proxy):
    """After the last attempt, with the store's own word for it."""
    put_model(put, name, FILES)
    proxy.add(Rule(times=None, when=lambda request: "range" in request.headers, status=503, code="SlowDown"))
    with pytest.raises(StoreUnavailable, match="tried 4 times, last: 503 SlowDown") as raised:
        fetch(source, name, tmp_path)
    assert raised.value.retry_after_s > 0


def test_paused_store_ends_with_the_deadline(source, put, tmp_path, proxy):
    """A store that accepts and never answers costs the deadline, not the sum of the timeouts."""
    put_model(put, "model.tar.gz", FILES)
    version = source.resolve("model.tar.gz", deadline=minute())
    proxy.add(Rule(times=None, hold=threading.Event()))
    begin = time.monotonic()
    with pytest.raises((StoreUnavailable, DeadlineExceeded)):
        source.fetch(version, tmp_path, limits=LIMITS, deadline=Deadline(0.5))
    assert time.monotonic() - begin < READ_TIMEOUT_S, "no timeout of a single request was waited for"


def test_paused_store_that_resumes_is_waited_for(source, put, tmp_path, proxy):
    """A pause longer than a read timeout is a retry, no failure."""
    put_model(put, "model.tar.gz", FILES)
    pause = proxy.add(Rule(times=2, hold=threading.Event(), when=lambda request: "range" in request.headers))
    assert fetch(source, "model.tar.gz", tmp_path).stats.retries == 2
    assert pause.met.is_set()
    assert on_disk(tmp_path) == FILES


def test_cancelled_fetch_ends_soon(source, put, tmp_path, proxy):
    """Whoever shuts down does not wait for the store."""
    put_model(put, "model.tar.gz", FILES)
    deadline = Deadline(math.inf)
    pause = proxy.add(Rule(times=None, hold=threading.Event(), when=lambda request: "range" in request.headers))
    canceller = threading.Thread(target=lambda: (pause.met.wait(10), deadline.cancel()))
    canceller.start()
    with pytest.raises(DeadlineExceeded, match="cancelled"):
        fetch(source, "model.tar.gz", tmp_path, deadline=deadline)
    canceller.join()


def test_unreachable_store_is_unavailable(bucket, s3_url, connect):
    """Nobody listens at the other end."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    source = S3Source(connect(url), bucket, options=OPTIONS)
    with pytest.raises(StoreUnavailable, match="Could not connect"):
        source.resolve("model.tar.gz", deadline=minute())


@pytest.mark.parametrize("name", NAMES)
def test_model_replaced_during_the_fetch_is_never_mixed(name, source, put, tmp_path, proxy):
    """The pinned fetch fails; begun anew it brings the new content whole."""
    put_model(put, name, FILES)
    third_range = proxy.add(Rule(when=nth_range(3), before=lambda: put_model(put, name, OTHER)))
    version = source.resolve(name, deadline=minute())
    with pytest.raises(ArtifactReplaced):
        source.fetch(version, tmp_path / "first", limits=LIMITS, deadline=minute())
    assert third_range.met.is_set()

    put_model(put, name, FILES)
    proxy.add(Rule(when=nth_range(5), before=lambda: put_model(put, name, OTHER)))
    (tmp_path / "again").mkdir()
    version = source.resolve(name, deadline=minute())
    brought, fetched = fetch_current(source, version, tmp_path / "again", limits=LIMITS, deadline=minute())
    assert on_disk(tmp_path / "again") == OTHER
    assert brought.token == source.resolve(name, deadline=minute()).token != version.token
    assert fetched.files.keys() == OTHER.keys()


def test_file_added_during_the_fetch_is_noticed(source, put, tmp_path, proxy):
    """A folder's files are one version together: none is missing from it, none too many."""
    put_model(put, "model", FILES)
    proxy.add(Rule(when=nth_range(3), before=lambda: put("model/tokenizer.json", b"{}")))
    with pytest.raises(ArtifactReplaced, match="changed while it was read"):
        fetch(source, "model", tmp_path)


def test_object_deleted_during_the_fetch_is_replaced_by_nothing(source, put, tmp_path, proxy, s3, bucket, prefix):
    """The next resolve says that it is missing."""
    put_model(put, "model.tar.gz", FILES)
    proxy.add(Rule(when=nth_range(3), before=lambda: s3.delete_object(Bucket=bucket, Key=f"{prefix}model.tar.gz")))
    version = source.resolve("model.tar.gz", deadline=minute())
    with pytest.raises(ArtifactMissing):
        fetch_current(source, version, tmp_path, limits=LIMITS, deadline=minute())


def test_store_that_ignores_if_match_is_not_trusted(source, put, tmp_path, proxy):
    """The answer's own ETag is compared with the pin."""
    put_model(put, "model.tar.gz", FILES)
    proxy.add(Rule(when=nth_range(3), answer_headers={"ETag": '"another"'}))
    with pytest.raises(ArtifactReplaced):
        fetch(source, "model.tar.gz", tmp_path)


def test_model_replaced_again_and_again_is_given_up(source, put, tmp_path, proxy):
    """Somebody uploads without end; that is said, instead of following for ever."""
    put_model(put, "model.tar.gz", FILES)
    contents = itertools.cycle([OTHER, FILES])
    proxy.add(
        Rule(times=None, when=lambda request: request.headers.get("range") == "bytes=65536-131071",
             before=lambda: put_model(put, "model.tar.gz", next(contents)))
    )  # fmt: skip
    version = source.resolve("model.tar.gz", deadline=minute())
    with pytest.raises(StoreUnavailable, match="replaced 4 times"):
        fetch_current(source, version, tmp_path, limits=LIMITS, deadline=minute())


@pytest.mark.parametrize(
    ("credentials", "said"),
    [
        (("LOCALTESTKEY", "wrong"), "SignatureDoesNotMatch; the secret key is wrong"),
        (("NOSUCHKEY", "wrong"), "InvalidAccessKeyId; the access key does not exist"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_wrong_keys_are_refused_by_bucket_and_action(name, credentials, said, s3_url, bucket, monkeypatch, connect):
    """The real server checks signatures; the message names what was asked of whom."""
    key, secret = credentials
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key if key != "LOCALTESTKEY" else os.environ["AWS_ACCESS_KEY_ID"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    source = S3Source(connect(s3_url), bucket, options=OPTIONS)
    action = "s3:GetObject" if name.endswith(".gz") else "s3:ListBucket"
    with pytest.raises(StoreRefused, match=f"{action} on bucket {bucket} was refused for .*{said}"):
        source.resolve(name, deadline=minute())


def test_no_credentials_are_told_as_such(s3_url, bucket, monkeypatch, connect):
    """No keys, no profile, no role."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    source = S3Source(connect(s3_url), bucket, options=OPTIONS)
    with pytest.raises(StoreRefused, match=r"s3:GetObject on .*give this process a role"):
        source.resolve("model.tar.gz", deadline=minute())


def test_missing_bucket_is_a_refusal_not_a_missing_model(s3_url, connect):
    """The store's url is wrong, whatever the model's name."""
    source = S3Source(connect(s3_url), "absa-test-no-such-bucket", options=OPTIONS)
    for name in NAMES:
        with pytest.raises(StoreRefused, match="no such bucket"):
            source.resolve(name, deadline=minute())


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (403, "AccessDenied", r"allow s3:GetObject on arn:aws:s3:::"),
        (400, "ExpiredToken", "renew them"),
        (301, "PermanentRedirect", "another Region"),
        (400, "AuthorizationHeaderMalformed", "another Region"),
        (403, "RequestTimeTooSkewed", "clock is wrong"),
    ],
)
def test_refusal_names_bucket_action_and_remedy(status, code, advice, source, proxy, bucket):
    """AWS answers that the local server never gives. The HEAD's answer has no body: a GET is asked for the reason."""
    proxy.add(
        Rule(times=None, when=lambda _: True, status=status, code=code, headers={"x-amz-bucket-region": "eu-west-1"})
    )
    with pytest.raises(StoreRefused, match=f"s3:GetObject on bucket {bucket} was refused for .*{code}; .*{advice}"):
        source.resolve("model.tar.gz", deadline=minute())
    assert proxy.requests[-1].method == "GET"


def test_flipped_bit_is_found_by_the_etag(source, put, tmp_path, proxy):
    """Uploaded in one piece, unencrypted: the ETag is the MD5, and a damaged way does not go unnoticed."""
    put_model(put, "model", {"weights.bin": FILES["aspect/model.safetensors"]})
    proxy.add(Rule(when=is_large_part, flip_at=500))
    with pytest.raises(ArtifactCorrupt, match=r"its store says md5 .*, what came has"):
        fetch(source, "model", tmp_path)


def test_flipped_bit_of_a_gzip_archive_is_found(source, put, tmp_path, proxy):
    """By gzip's own checksum, or because it is no gzip any more."""
    put_model(put, "model.tar.gz", FILES)
    proxy.add(Rule(when=nth_range(4), flip_at=30_000))
    with pytest.raises((ArchiveBroken, ArtifactCorrupt)):
        fetch(source, "model.tar.gz", tmp_path)


def test_manifest_is_held_against_what_came(source, put, tmp_path):
    """Multipart uploads have no ETag that says anything; the manifest's sha256 does."""
    manifest = {"version": 1, "files": {"absa.json": {"size_bytes": 2, "sha256": hashlib.sha256(b"[]").hexdigest()}}}
    put_model(put, "model.tar.gz", {**FILES, "manifest.json": json.dumps(manifest).encode()})
    with pytest.raises(ArtifactCorrupt, match=r"absa\.json is 2 bytes with sha256 .*, manifest.json says"):
        fetch(source, "model.tar.gz", tmp_path)


@pytest.mark.parametrize("data", [b"", b"not an archive at all", tar_gz_bytes(FILES)[:300_000]])
def test_broken_archive_is_told_by_its_uri(data, source, put, tmp_path, bucket, prefix):
    """Stored that way: no retry mends it."""
    put("model.tar.gz", data)
    with pytest.raises(ArchiveBroken, match=f"s3://{bucket}/{prefix}model.tar.gz: "):
        fetch(source, "model.tar.gz", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_room_is_checked_on_both_sides(name, source, put, tmp_path):
    """Exactly as many bytes as are allowed pass, one more does not."""
    put_model(put, name, {"weights.bin": bytes(100_000)})
    (tmp_path / "exact").mkdir()
    fetch(source, name, tmp_path / "exact", limits=Limits(max_bytes=100_000))
    with pytest.raises(ArtifactTooLarge, match="99,999 are there for it"):
        fetch(source, name, tmp_path, limits=Limits(max_bytes=99_999))


def test_fetches_side_by_side_do_not_disturb_each_other(source, put, tmp_path):
    """One source, many threads, one of them failing."""
    put_model(put, "model.tar.gz", FILES)
    put_model(put, "other", OTHER)
    put("broken.tar.gz", b"x" * 200_000)
    names = ["model.tar.gz", "other", "broken.tar.gz"] * 3

    def work(number):
        into = tmp_path / str(number)
        into.mkdir()
        try:
            return fetch(source, names[number], into).files.keys()
        except ArchiveBroken as error:
            return error

    with ThreadPoolExecutor(len(names)) as pool:
        results = list(pool.map(work, range(len(names))))
    for number, (name, result) in enumerate(zip(names, results, strict=True)):
        assert isinstance(result, ArchiveBroken) == (name == "broken.tar.gz")
        if name != "broken.tar.gz":
            assert on_disk(tmp_path / str(number)) == (FILES if name == "model.tar.gz" else OTHER)


def test_parts_held_stay_within_the_window(source, put, tmp_path, proxy):
    """However slow the first range is, no more than `parallel` of them are asked for meanwhile."""
    put_model(put, "model.tar.gz", FILES)
    first = proxy.add(
        Rule(when=lambda request: request.headers.get("range", "").startswith("bytes=0-"), hold=threading.Event())
    )
    others = threading.Semaphore(0)
    proxy.add(Rule(times=None, when=lambda request: "range" in request.headers, before=others.release))
    with ThreadPoolExecutor(1) as pool:
        fetched = pool.submit(fetch, source, "model.tar.gz", tmp_path)
        for _ in range(OPTIONS.parallel - 1):
            assert others.acquire(timeout=10)
        assert first.met.is_set()
        assert not others.acquire(timeout=0.1)
        first.hold.set()
        assert fetched.result(30).files.keys() == FILES.keys()


def test_single_connection_brings_everything(put, tmp_path, s3, bucket, prefix):
    """Where no more are allowed, one request for all."""
    put("model.tar.gz", tar_gz_bytes(FILES))
    source = S3Source(s3, bucket, prefix, options=S3Options(part_bytes=1000, parallel=1))
    assert fetch(source, "model.tar.gz", tmp_path).stats.requests == 1
    assert on_disk(tmp_path) == FILES


def test_what_a_store_needs_is_remembered(source, put, tmp_path, proxy, monkeypatch):
    """Where nobody has waited in a fetch, the next one is a single request."""
    monkeypatch.setattr(width, "_WINDOW_BYTES", 64 << 10)
    monkeypatch.setattr(width, "_TOO_LONG", 2.0)
    monkeypatch.setattr(width, "_NOT_AT_ALL", 2.0)
    put_model(put, "model.tar.gz", FILES)
    for into in (tmp_path / "first", tmp_path / "second"):
        into.mkdir()
        asked = len(ranges(proxy))
        fetch(source, "model.tar.gz", into)
        assert on_disk(into) == FILES
    assert asked > 4
    assert len(ranges(proxy)) == asked + 1


def test_broken_request_is_continued_where_it_broke_off(put, tmp_path, proxy, bucket, prefix, connect):
    """A long one too: what has arrived is not asked for again."""
    put("model.tar.gz", tar_gz_bytes(FILES))
    proxy.add(Rule(when=nth_range(1), drop_after=300_000))
    source = S3Source(connect(proxy.url), bucket, prefix, options=S3Options(parallel=1))
    fetched = fetch(source, "model.tar.gz", tmp_path)
    assert on_disk(tmp_path) == FILES
    first, second = ranges(proxy)
    assert first.startswith("bytes=0-")
    begin = int(second.removeprefix("bytes=").partition("-")[0])
    assert 0 < begin <= 300_000
    assert fetched.stats.retries == 1


def test_long_request_may_break_often(put, tmp_path, proxy, bucket, prefix, connect):
    """Each time something came: attempts are counted from there anew. Where nothing comes they are counted."""
    put("model.tar.gz", tar_gz_bytes(FILES))
    source = S3Source(connect(proxy.url), bucket, prefix, options=S3Options(parallel=1, attempts=2))
    proxy.add(Rule(when=lambda request: "range" in request.headers, drop_after=100_000, times=5))
    assert fetch(source, "model.tar.gz", tmp_path).stats.retries == 5
    assert on_disk(tmp_path) == FILES
    proxy.add(Rule(when=lambda request: "range" in request.headers, drop_after=0, times=2))
    with pytest.raises(StoreUnavailable, match="tried 2 times"):
        fetch(source, "model.tar.gz", tmp_path / "again")


@pytest.mark.parametrize(
    ("answered", "told"), [("bytes 0-9/{size}", "got bytes 0-9/"), ("bytes 0-9/*", r"got bytes 0-9/\*")]
)
def test_answer_with_other_bytes_is_not_taken(answered, told, source, put, tmp_path, proxy):
    """A store that answers another range than it was asked for must not shift the object; told as what it is."""
    put("model.tar.gz", data := tar_gz_bytes(FILES))
    proxy.add(
        Rule(
            when=lambda request: request.headers.get("range", "").startswith("bytes=65536-"), times=None,
            answer_headers={"Content-Range": answered.format(size=len(data))},
        )
    )  # fmt: skip
    with pytest.raises(StoreUnavailable, match=f"expected bytes 65536-131071/{len(data)}, {told}"):
        fetch(source, "model.tar.gz", tmp_path)


def test_object_of_another_size_is_another_object(source, put, tmp_path, proxy):
    """Whatever its tag."""
    put_model(put, "model.tar.gz", FILES)
    proxy.add(Rule(when=nth_range(3), answer_headers={"Content-Range": "bytes 0-9/12345"}))
    with pytest.raises(ArtifactReplaced):
        fetch(source, "model.tar.gz", tmp_path)
