"""Archives: what is unpacked, what is refused, and that nothing is ever written outside the target."""

import contextlib
import gzip
import io
import tarfile
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_loader import ArchiveBroken, ArchiveUnsafe, ArtifactError, ArtifactInvalid, ArtifactTooLarge, Limits
from model_loader.archive import unpack
from tests.model_loader.archives import member, tar_bytes, tar_gz_bytes

LIMITS = Limits(max_bytes=1 << 30)
URI = "s3://bucket/model.tar.gz"
FILES = {"aspect/config.json": b'{"a": 1}', "absa.json": b"{}"}


def pieces(data, size=1000):
    return (data[begin : begin + size] for begin in range(0, len(data), size))


def unpacked(data, into, *, limits=LIMITS, size=1000):
    return unpack(pieces(data, size), into, uri=URI, limits=limits)


def on_disk(root):
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if not file.is_dir()}


@pytest.mark.parametrize("pack", [tar_bytes, tar_gz_bytes])
@pytest.mark.parametrize("size", [1, 7, 511, 1 << 20])
def test_plain_and_gzipped_archives_are_unpacked(pack, size, tmp_path):
    """Told apart by their bytes, in whatever pieces these come."""
    files = unpacked(pack(FILES), tmp_path, size=size)
    assert on_disk(tmp_path) == FILES
    assert {path: entry.size_bytes for path, entry in files.items()} == {
        path: len(data) for path, data in FILES.items()
    }


def test_gzip_of_several_members_is_one_stream(tmp_path):
    """As pigz and appended archives make it; zeros after the last one are padding."""
    data = tar_bytes(FILES)
    unpacked(gzip.compress(data[:700]) + gzip.compress(data[700:]) + bytes(100), tmp_path)
    assert on_disk(tmp_path) == FILES


def test_dot_members_and_folders_are_what_tar_makes(tmp_path):
    """`tar czf x.tar.gz -C folder .` begins every path with `./`."""
    data = tar_gz_bytes({f"./{path}": data for path, data in FILES.items()}, members=[member("./", tarfile.DIRTYPE)])
    assert unpacked(data, tmp_path).keys() == FILES.keys()


def test_modes_of_members_are_not_kept(tmp_path):
    """No setuid, nothing executable, nothing unreadable."""
    member = tarfile.TarInfo("tool")
    member.mode = 0o6777
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(member)
        tar.addfile(tarfile.TarInfo("a/b"))
    unpacked(buffer.getvalue(), tmp_path)
    assert (tmp_path / "tool").stat().st_mode & 0o7133 == 0
    assert (tmp_path / "a").stat().st_mode & 0o7022 == 0


@pytest.mark.parametrize(
    ("hostile", "said"),
    [
        (member("link", tarfile.SYMTYPE, linkname="/etc/passwd"), "is a link"),
        (member("link", tarfile.LNKTYPE, linkname="absa.json"), "is a link"),
        (member("pipe", tarfile.FIFOTYPE), "neither a plain file nor a folder"),
        (member("disk", tarfile.BLKTYPE, devmajor=8), "neither a plain file nor a folder"),
        (member("tty", tarfile.CHRTYPE, devmajor=5), "neither a plain file nor a folder"),
        (member("/etc/passwd", tarfile.REGTYPE), "begins with a slash"),
        (member("../escaped", tarfile.REGTYPE), r"segment '\.\.'"),
        (member("a/../../escaped", tarfile.REGTYPE), r"segment '\.\.'"),
        (member("../folder", tarfile.DIRTYPE), r"segment '\.\.'"),
        (member("a\\b", tarfile.REGTYPE), "backslash"),
        (member("a//b", tarfile.REGTYPE), "empty segment"),
        (member("x" * 256, tarfile.REGTYPE), "256 bytes, 255 are allowed"),
        (member("a/" * 512 + "bc", tarfile.REGTYPE), "1026 characters, 1024 are allowed"),
        (member("\udcff", tarfile.REGTYPE), "not Unicode"),
        (member("absa.json", tarfile.REGTYPE), "in the archive twice"),
        (member("absa.json/inside", tarfile.REGTYPE), "both a file and a folder"),
        (member("aspect", tarfile.REGTYPE), "both a file and a folder"),
    ],
    ids=lambda value: value.name[:20] if isinstance(value, tarfile.TarInfo) else "",
)
def test_hostile_member_is_refused(hostile, said, tmp_path):
    """The message names the archive and the member; nothing lies beside the target, and no link in it."""
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(ArchiveUnsafe, match=rf"{URI}: .*{said}"):
        unpacked(tar_gz_bytes(FILES, members=[hostile]), target)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert not any(path.is_symlink() for path in target.rglob("*"))


@pytest.mark.parametrize("name", ["x" * 255, "/".join(["a"] * 512)])
def test_longest_legal_paths_are_unpacked(name, tmp_path):
    """255 bytes a segment, 1,023 characters in all."""
    assert unpacked(tar_gz_bytes({name: b"x"}), tmp_path).keys() == {name}


@given(names=st.lists(st.text(min_size=1, max_size=30) | st.sampled_from(["..", "../..", "/", "/tmp/x", "a/..", "."])))
def test_no_name_leads_out_of_the_target(names):
    """Whatever members are called, the target is all that changes."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "one" / "two"
        target.mkdir(parents=True)
        members = [member(name, tarfile.REGTYPE) for name in names]
        try:
            files = unpacked(tar_bytes({}, members=members), target)
        except ArtifactError:
            files = {}
        everything = {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}
        assert all(path.startswith("one/two/") for path in everything)
        assert {f"one/two/{path}" for path in files} <= everything


@given(st.binary(max_size=3000), st.integers(0, 3000), st.booleans())
def test_damaged_archive_is_an_error_of_ours(noise, at, is_gzip):
    """Any bytes in any place of an archive: unpacked, or refused in this package's words."""
    data = tar_bytes(FILES)
    data = data[:at] + noise + data[at + len(noise) :]
    data = gzip.compress(data, mtime=0) if is_gzip else data
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        with contextlib.suppress(ArtifactError):
            files = unpacked(data, Path(folder))
        sizes = {path: (Path(folder) / path).stat().st_size for path in files}
        assert sizes == {path: entry.size_bytes for path, entry in files.items()}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty object"),
        (gzip.compress(b""), "no readable tar archive"),
        (gzip.compress(b"hello" * 300), "no readable tar archive"),
        (b"hello" * 300, "no readable tar archive"),
        (b"PK\x03\x04" + bytes(600), "a ZIP file"),
        (tar_gz_bytes({}), "holds no files"),
        (tar_gz_bytes({"a": bytes(50_000)})[:-4], "truncated"),
        (tar_gz_bytes({"a": bytes(50_000)})[:40], "truncated"),
        (tar_gz_bytes(FILES)[:-8] + bytes(8), "damaged gzip data"),
        (tar_bytes({"a": bytes(50_000)})[:30_000], "unexpected end of data"),
    ],
)
def test_broken_archive_says_how(data, said, tmp_path):
    """Empty, truncated, damaged, gzip of something else: each by its own words."""
    with pytest.raises(ArchiveBroken, match=f"{URI}: .*{said}"):
        unpacked(data, tmp_path)


def test_limits_hold_on_both_sides(tmp_path):
    """Exactly as many members and bytes as allowed pass, one more of either does not."""
    data = tar_gz_bytes({"a": b"12345", "b": b"12345"})
    (tmp_path / "exact").mkdir()
    unpacked(data, tmp_path / "exact", limits=Limits(max_bytes=10, max_members=2))
    with pytest.raises(ArtifactTooLarge, match="9 are there for it"):
        unpacked(data, tmp_path, limits=Limits(max_bytes=9))
    with pytest.raises(ArchiveUnsafe, match="more than 1 members"):
        unpacked(data, tmp_path / "..", limits=Limits(max_bytes=10, max_members=1))


def test_bomb_is_stopped_by_its_ratio(tmp_path):
    """Zeros pack a thousand to one; what any file may reach is free."""
    data = tar_gz_bytes({"zeros": bytes(3 << 20)})
    with pytest.raises(ArchiveUnsafe, match="only an archive made to fill disks"):
        unpacked(data, tmp_path, limits=Limits(max_bytes=1 << 30, ratio_free_bytes=1 << 20))
    assert sum(map(len, on_disk(tmp_path).values())) < 2 << 20
    (tmp_path / "free").mkdir()
    unpacked(data, tmp_path / "free")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_huge_extension_header_is_not_read_into_memory(kind, tmp_path):
    """tarfile takes an extension header whole, as long as it says it is; here it ends with the allowance."""
    header = member("x", kind, size=1 << 33).tobuf(tarfile.GNU_FORMAT)
    zeros = zlib.compressobj(1, zlib.DEFLATED, 31)
    compressed = zeros.compress(header) + b"".join(zeros.compress(bytes(1 << 20)) for _ in range(16)) + zeros.flush()
    with pytest.raises(ArchiveUnsafe, match="belong to none of its files"):
        unpacked(compressed, tmp_path)


def test_endless_chain_of_headers_is_refused(tmp_path):
    """Each extension header makes tarfile call itself."""
    header = member("x", tarfile.GNUTYPE_LONGNAME, size=1).tobuf(tarfile.GNU_FORMAT) + b"a".ljust(512, b"\0")
    with pytest.raises(ArchiveBroken, match="without end"):
        unpacked(header * 2000, tmp_path)


def test_sparse_file_is_refused(tmp_path):
    """GNU tar -S: a file of any size from a few bytes."""
    with pytest.raises(ArtifactInvalid):
        unpacked(member("holes", tarfile.GNUTYPE_SPARSE, size=0).tobuf(tarfile.GNU_FORMAT) + bytes(1024), tmp_path)


def test_extension_header_of_any_length_is_inflated_in_pieces(tmp_path):
    """However well it was compressed: nobody is asked for more than a MB of it at a time."""
    header = member("x", tarfile.GNUTYPE_LONGNAME, size=1 << 33).tobuf(tarfile.GNU_FORMAT)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = packer.compress(header) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    assert len(bomb) < 1 << 17  # one input's worth
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveUnsafe, match="belong to none of its files"):
            unpacked(bomb, tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_member_that_ends_early_is_told(tmp_path):
    """A plain tar has no checksum: its own lengths tell that something is missing."""
    data = tar_bytes({"weights": bytes(range(256)) * 4096})
    for cut in (512, 513, 1024, len(data) // 2):
        (tmp_path / str(cut)).mkdir()
        with pytest.raises(ArchiveBroken, match=r"unexpected end of data|holds no files"):
            unpacked(data[:cut], tmp_path / str(cut))
