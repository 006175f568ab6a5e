"""The tar reader against Python's tarfile and GNU tar, and against chance."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.errors import InvalidImage
from minidock.image.compression import Digesting, unpacked, zstd_module
from minidock.image.tarheader import Member, decimal, nanoseconds, number
from minidock.image.tarstream import TarStream
from tests.support import tarforge as forge
from tests.support.needs import require_tool


def read(raw: bytes, chunk: int = 1 << 20) -> list[tuple[Member, bytes]]:
    """All members with their bodies; the source gives at most `chunk` bytes at once."""
    source = io.BytesIO(raw)
    stream = TarStream(lambda n: source.read(min(n, chunk)))
    found = []
    for member in stream:
        if (body := stream.body()) is None:
            found.append((member, b"".join(stream.pieces())))
        else:
            where, at = body
            found.append((member, where[at : at + member.size]))
    return found


NAMES = st.binary(min_size=1, max_size=300).map(lambda raw: raw.replace(b"\0", b"x").replace(b"/", b"y"))
FILES = st.lists(
    st.tuples(
        NAMES, st.binary(max_size=2000), st.integers(0, 0o7777), st.integers(0, 1 << 31), st.integers(0, 1 << 33)
    ),
    max_size=6,
)


@given(FILES, st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]), st.integers(1, 3000))
def test_what_tarfile_writes_is_read(files: list[tuple[bytes, bytes, int, int, int]], form: int, chunk: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as tar:
        for name, body, mode, owner, time in files:
            info = tarfile.TarInfo(os.fsdecode(name))
            info.size, info.mode, info.uid, info.gid, info.mtime = len(body), mode, owner, owner + 1, time
            tar.addfile(info, io.BytesIO(body))
    found = [
        (member.name, body, member.mode, member.uid, member.gid, member.mtime)
        for member, body in read(buffer.getvalue(), chunk)
    ]
    assert found == [(name, body, mode, owner, owner + 1, time * 10**9) for name, body, mode, owner, time in files]


@given(st.binary(max_size=3000))
def test_chance_is_an_archive_or_an_error_of_ours(raw: bytes) -> None:
    try:
        read(raw)
    except InvalidImage:
        return


@given(st.lists(st.tuples(st.integers(0, 511), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_header_is_read_or_an_error_of_ours(changes: list[tuple[int, int]]) -> None:
    raw = bytearray(forge.tar(forge.pax({"path": "x/y", "mtime": "1.5"}), forge.member("f", b"body")))
    for at, value in changes:
        raw[at] = raw[at + 1024] = value
    try:
        read(bytes(raw))
    except InvalidImage:
        return


def test_what_is_no_archive_is_called_so() -> None:
    """Without a word of what its letters would be as numbers."""
    with pytest.raises(InvalidImage, match=r"^invalid tar header: this is no tar archive, or a damaged one$"):
        read(b"root:x:0:0:root:/root:/bin/bash\n" * 40)


def test_links_devices_and_directories() -> None:
    raw = forge.tar(
        forge.directory("d/"),
        forge.symlink("s", "target"),
        forge.hard_link("h", "d/f"),
        forge.member("c", kind=b"3", major=5, minor=1),
        forge.member("p", kind=b"6"),
        forge.member("old/", kind=b"\0"),
    )
    found = [(member.name, member.kind, member.link, member.major, member.minor) for member, _ in read(raw)]
    assert found == [
        (b"d/", b"5", b"", 0, 0),
        (b"s", b"2", b"target", 0, 0),
        (b"h", b"1", b"d/f", 0, 0),
        (b"c", b"3", b"", 5, 1),
        (b"p", b"6", b"", 0, 0),
        (b"old/", b"5", b"", 0, 0),
    ]


def test_the_prefix_of_ustar_counts_and_that_of_gnu_does_not() -> None:
    posix, gnu = forge.block(b"name", prefix=b"a/b"), forge.block(b"name", prefix=b"a/b", magic=b"ustar  \0")
    assert [member.name for member, _ in read(forge.tar(posix, gnu))] == [b"a/b/name", b"name"]


def test_a_signed_checksum_is_taken() -> None:
    good = forge.block("ü".encode())
    signed = sum(byte - 256 if byte > 127 else byte for byte in good[:148] + b" " * 8 + good[156:])
    assert len(read(forge.tar(good[:148] + b"%06o\0 " % signed + good[156:]))) == 1


def test_extended_attributes_of_both_kinds() -> None:
    records = {"SCHILY.xattr.user.a": b"\0\1=\n", "LIBARCHIVE.xattr.user.%62": "AAE", "LIBARCHIVE.xattr.user.a": "WA=="}
    ((member, _),) = read(forge.tar(forge.pax(records), forge.member("f")))
    assert member.xattrs == {"user.a": b"\0\1=\n", "user.b": b"\0\1"}


def test_a_pax_header_is_for_one_member_only() -> None:
    raw = forge.tar(forge.pax({"uid": "5", "path": "long"}), forge.member("a"), forge.member("b"))
    assert [(member.name, member.uid) for member, _ in read(raw)] == [(b"long", 5), (b"b", 0)]


def test_global_headers_are_passed_over() -> None:
    raw = forge.tar(forge.pax({"comment": "0" * 40, "uid": "7"}, kind=b"g"), forge.member("a"))
    assert [(member.name, member.uid) for member, _ in read(raw)] == [(b"a", 0)]


@pytest.mark.parametrize("form", ["gnu", "--sparse-version=0.0", "--sparse-version=0.1", "--sparse-version=1.0"])
@pytest.mark.parametrize("pieces", [1, 3, 60])
def test_sparse_files_of_gnu_tar(form: str, pieces: int, tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        for piece in range(pieces):
            file.seek(piece * 1_000_000)
            file.write(b"data %d" % piece)
        file.truncate(pieces * 1_000_000 + 5)
    options = ["--format=gnu"] if form == "gnu" else ["--format=pax", form]
    raw = subprocess.run(
        [require_tool("tar"), "-C", str(tmp_path), "-cS", *options, "sparse"], capture_output=True, check=True
    ).stdout
    ((member, stored),) = read(raw)
    assert (member.name, member.full_size) == (b"sparse", pieces * 1_000_000 + 5)
    whole = bytearray(member.full_size)
    for offset, length in member.holes or []:
        whole[offset : offset + length], stored = stored[:length], stored[length:]
    assert bytes(whole) == (tmp_path / "sparse").read_bytes()
    assert len(raw) < len(whole)


def test_skipping_needs_no_reading() -> None:
    """Where the source can seek, bodies that nobody wants are not read."""
    raw = forge.tar(forge.member("big", bytes(5_000_000)), forge.member("last", b"x"))
    source = io.BytesIO(raw)
    given_out = 0

    def give(n: int) -> bytes:
        nonlocal given_out
        data = source.read(n)
        given_out += len(data)
        return data

    stream = TarStream(give, skip=lambda count: source.seek(count, os.SEEK_CUR) and None)
    names = [(member.name, stream.position()) for member in stream]
    assert names == [(b"big", 512), (b"last", 512 + 5_000_192 + 512)] and given_out < 1_000_000


NUMBERS = [(b"0000644\0", 0o644), (b"   644 \0", 0o644), (b"644", 0o644), (bytes(8), 0), (b"        ", 0)]
NUMBERS += [(b"\x80\0\0\0\0\0\1\0", 256), (b"\xff" * 8, -1), (b"7" * 12, 0o777777777777)]


@pytest.mark.parametrize(("field", "value"), NUMBERS)
def test_numbers(field: bytes, value: int) -> None:
    assert number(field) == value


@pytest.mark.parametrize("field", [b"8", b"0x1", b"1_0", b"-1", b"+1", b"0o7", "٣".encode()[:1] + b"7"])
def test_what_is_no_number(field: bytes) -> None:
    with pytest.raises(InvalidImage):
        number(field.ljust(8, b"\0")) if field[0] < 128 else decimal(field)


def test_times() -> None:
    assert nanoseconds(b"1.5") == 1_500_000_000 and nanoseconds(b"-1.25") == -1_250_000_000
    assert nanoseconds(b"1700000000.123456789123") == 1_700_000_000_123_456_789 and nanoseconds(b"3") == 3_000_000_000


# Compression


def packers() -> dict[str, object]:
    return {
        "": bytes,
        "gzip": gzip.compress,
        "zstd": zstd_module().compress,
        "xz": lzma.compress,
        "bzip2": bz2.compress,
    }


@pytest.mark.parametrize("name", packers())
@pytest.mark.parametrize("members", [1, 3])
def test_every_packing_is_seen_and_undone(name: str, members: int) -> None:
    pack = packers()[name]
    parts = [os.urandom(100_000) + bytes(500_000) for _ in range(members)]
    raw = b"".join(pack(part) for part in parts)  # type: ignore[operator]
    source = io.BytesIO(raw)
    found, plain = unpacked(lambda n: source.read(min(n, 1000)))
    assert found == name
    out = []
    while data := plain(64_000):
        assert name == "" or len(data) <= 64_000
        out.append(data)
    assert b"".join(out) == b"".join(parts)


def test_padding_after_gzip_and_skippable_frames_of_zstd() -> None:
    _, plain = unpacked(io.BytesIO(gzip.compress(b"x") + bytes(700)).read)
    assert plain(10) == b"x" and plain(10) == b""
    skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"skip"
    name, plain = unpacked(io.BytesIO(skippable + zstd_module().compress(b"y") + skippable).read)
    assert name == "zstd" and plain(10) == b"y" and plain(10) == b""


def test_a_limit_is_kept() -> None:
    stream = Digesting(io.BytesIO(bytes(11)).read, limit=10)
    with pytest.raises(InvalidImage):
        while stream.read(3):
            pass
    assert stream.count == 12 or stream.count == 11
