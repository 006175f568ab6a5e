"""The commands of `context`: Docker's store, its words, its archives."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from minidock.cli import app
from minidock.cli.context_files import unpacked
from minidock.daemon.client.contexts import Context, Store
from minidock.errors import MinidockError

META = "contexts/meta/{}/meta.json"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MINIDOCK_HOST", "DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config"


def run(*words: str, input: bytes = b"") -> Result:
    return CliRunner().invoke(app, ["context", *words], input=input)


def document(home: Path, name: str) -> dict[str, object]:
    found = json.loads((home / META.format(sha256(name.encode()).hexdigest())).read_bytes())
    assert isinstance(found, dict)
    return found


def test_what_is_created_lies_where_docker_looks_for_it(home: Path) -> None:
    result = run("create", "lab", "--description", "a lab", "--docker", "host=tcp://lab:2376")
    assert (result.stdout, result.stderr) == ("lab\n", 'Successfully created context "lab"\n')
    assert document(home, "lab") == {
        "Name": "lab",
        "Metadata": {"Description": "a lab"},
        "Endpoints": {"docker": {"Host": "tcp://lab:2376", "SkipTLSVerify": False}},
    }


def test_certificates_are_copied_for_the_owner_alone(home: Path, tmp_path: Path) -> None:
    for name in ("c", "k"):
        (tmp_path / name).write_text(name)
    assert run("create", "box", "--docker", "host=tcp://box,cert=c,key=k,skip-tls-verify=true").exit_code == 0
    directory = home / "contexts/tls" / sha256(b"box").hexdigest() / "docker"
    assert {path.name: path.read_text() for path in directory.iterdir()} == {"cert.pem": "c", "key.pem": "k"}
    assert (directory / "key.pem").stat().st_mode & 0o777 == 0o600
    run("update", "box", "--description", "still has them")
    assert (directory / "key.pem").exists()
    run("update", "box", "--docker", "host=tcp://box")
    assert not directory.exists()


def test_use_marks_the_current_one_and_leaves_the_rest_of_the_file(home: Path) -> None:
    home.mkdir()
    (home / "config.json").write_text('{"auths": {"x": {"auth": "eDp5"}}}')
    (home / "config.json").chmod(0o600)
    run("create", "lab", "--docker", "host=tcp://lab")
    result = run("use", "lab")
    assert (result.stdout, result.stderr) == ("lab\n", 'Current context is now "lab"\n')
    kept = json.loads((home / "config.json").read_text())
    assert kept == {"auths": {"x": {"auth": "eDp5"}}, "currentContext": "lab"}
    assert (home / "config.json").stat().st_mode & 0o777 == 0o600
    assert run("show").stdout == "lab\n"
    assert [line.split()[:2] for line in run("ls").stdout.splitlines()[1:]] == [["default", "This"], ["lab", "*"]]
    assert run("rm", "lab").stderr == 'context "lab" is in use, set -f flag to force remove\n'
    assert run("rm", "-f", "lab").stdout == "lab\n"
    assert run("show").stdout == "default\n"
    assert json.loads((home / "config.json").read_text()) == {"auths": {"x": {"auth": "eDp5"}}}


NOT_THERE = 'context "nope": context not found: open {home}/contexts/meta/{hash}/meta.json: no such file or directory\n'


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["create", "x"],
            'context name "x" is invalid, names are validated against regexp "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"\n',
        ),
        (["create", "default"], '"default" is a reserved context name\n'),
        (["create", "there"], 'context "there" already exists\n'),
        (
            ["create", "ab", "--docker", "hots=1"],
            "unable to create docker endpoint config: unrecognized config key: hots\n",
        ),
        (
            ["create", "ab", "--docker", "host=tcp://x,ca=/nope"],
            "unable to create docker endpoint config: open /nope: no such file or directory\n",
        ),
        (["create", "ab", "--from", "nope"], NOT_THERE),
        (["update", "nope"], NOT_THERE),
        (["use", "nope"], NOT_THERE),
        (["export", "nope", "-"], NOT_THERE),
        (["rm", "default"], 'context "default" cannot be removed\n'),
        (["rm", "nope"], 'context "nope" does not exist\n'),
        (["import", "ab", "nofile"], "open nofile: no such file or directory\n"),
        (["import", "there", "nofile"], 'context "there" already exists\n'),
    ],
)
def test_mistakes_are_told_in_docker_s_words(home: Path, words: list[str], told: str) -> None:
    Store(home).write(Context("there", "tcp://there"))
    result = run(*words)
    expected = told.replace("{home}", str(home)).replace("{hash}", sha256(b"nope").hexdigest())
    assert (result.exit_code, result.stderr, result.stdout) == (1, expected, "")


def test_inspect_tells_of_those_that_are_there_and_of_those_that_are_not(home: Path) -> None:
    Store(home).write(Context("there", "tcp://there"), {"ca.pem": b"ca"})
    result = run("inspect", "there", "nope")
    assert result.exit_code == 1 and result.stderr.startswith('context "nope": context not found')
    [found] = json.loads(result.stdout)
    assert found["TLSMaterial"] == {"docker": ["ca.pem"]}
    assert found["Storage"]["MetadataPath"] == str(home / "contexts/meta" / sha256(b"there").hexdigest())
    assert run("inspect", "-f", "{{.Name}} {{.Endpoints.docker.Host}}", "there").stdout == "there tcp://there\n"


def test_an_exported_context_comes_back_with_its_certificates(home: Path, tmp_path: Path) -> None:
    Store(home).write(Context("there", "tcp://there", "words"), {"ca.pem": b"ca"})
    assert run("export", "there").stderr == 'Written file "there.dockercontext"\n'
    assert run("export", "there").stderr == "open there.dockercontext: file exists\n"
    with tarfile.open(tmp_path / "there.dockercontext") as archive:
        assert archive.getnames() == ["meta.json", "tls", "tls/docker", "tls/docker/ca.pem"]
    result = run("import", "again", "there.dockercontext")
    assert (result.stdout, result.stderr) == ("again\n", 'Successfully imported context "again"\n')
    assert Store(home).read("again") == Context("again", "tcp://there", "words")
    assert Store(home).tls_files("again") == {"ca.pem": b"ca"}


def test_a_zip_is_read_as_well() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("meta.json", '{"Name": "x"}')
        archive.writestr("tls/docker/key.pem", "key")
    assert unpacked(out.getvalue()) == ({"Name": "x"}, {"key.pem": b"key"})


@pytest.mark.parametrize(
    "name", ["tls/docker/../../x.pem", "../meta.json", "tls/kubernetes/ca.pem", "other", "/tls/docker/x.pem"]
)
def test_an_archive_with_anything_else_is_refused(name: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(MinidockError, match="unexpected context file"):
        unpacked(out.getvalue())


def _zipped(*, method: int = 0) -> bytes:
    """With a byte changed that says how its member is packed, in both places where a zip has it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("meta.json", "{}")
    raw = bytearray(out.getvalue())
    raw[8] = raw[raw.index(b"PK\1\2") + 10] = method
    return bytes(raw)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive at all",
        bytes(1 << 20),
        gzip.compress(b"x" * 5000, mtime=0)[:30],
        b"\x1f\x8b\x08" + bytes(100),
        _zipped(method=77),
    ],
)
def test_what_is_no_context_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(MinidockError, match=r"^[^\n]+$"):
        unpacked(data)


def test_a_zip_can_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minidock.cli.context_files.LARGEST", 1000)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.json", "{}")
        archive.writestr("tls/docker/key.pem", bytes(100_000))
    assert len(unpacked(out.getvalue())[1]["key.pem"]) == 1000


def test_docker_host_wins_and_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(home).write(Context("there", "tcp://there"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///q")
    listed = run("ls")
    assert listed.stdout.splitlines()[1].split()[:2] == ["default", "*"] and "unix:///q" in listed.stdout
    assert listed.stderr.startswith("Warning: DOCKER_HOST environment variable overrides the active context.")
    assert 'To use "there"' in run("use", "there").stderr
    assert run("show").stdout == "default\n"
