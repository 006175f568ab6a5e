"""Pull, push, login and run against Debian's docker-registry: open, with passwords and TLS, with tokens."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minidock.image.garbage import check
from minidock.image.store import ImageStore
from tests.conftest import Minidock, require_root
from tests.support.oddserver import odd_registry
from tests.support.registry import Registry, make_authority, running
from tests.support.tokens import TokenServer, token_server


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Open to everybody."""
    require_root()
    with running(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(autouse=True)
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config" / "config.json"


@pytest.fixture
def images(minidock: Minidock, busybox_image: Path) -> Minidock:
    """With busybox in it."""
    require_root()
    minidock("load", "-q", "-i", str(busybox_image), check=True)
    return minidock


def push(minidock: Minidock, name: str, source: str = "busybox") -> str:
    """The pushed manifest's digest."""
    minidock("tag", source, name, check=True)
    out = minidock("push", name, check=True).stdout
    return out.rpartition("digest: ")[2].split()[0]


def forget(minidock: Minidock, *names: str) -> None:
    minidock("rmi", "-f", *names, check=True)


# There and back


def test_push_and_pull(images: Minidock, registry: Registry) -> None:
    """The image that comes back is the one that left; its layers run."""
    name = f"{registry.address}/there:1"
    identity = images("images", "-q", "--no-trunc", "busybox", check=True).stdout
    digest = push(images, name)
    assert digest == registry.digest("there", "1")
    forget(images, name, "busybox")
    assert images("images", "-q").stdout == ""
    out = images("pull", name, check=True).stdout.splitlines()
    assert out[0] == "1: Pulling from there" and out[-1] == name
    assert f"Digest: {digest}" in out and f"Status: Downloaded newer image for {name}" in out
    words = ["Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete"]
    assert [line.partition(": ")[2] for line in out[1:5]] == words  # dockerd's, where it isn't in a hurry
    assert images("images", "-q", "--no-trunc", name).stdout == identity
    assert images("run", "--rm", "--network=none", name, "echo", "ran", check=True).stdout == "ran\n"
    assert check(ImageStore(images.layout)) == []


def test_build_and_push(images: Minidock, registry: Registry, tmp_path: Path) -> None:
    """Under all its tags, and nothing is built that couldn't be pushed."""
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo built > /made\n")
    names = [f"{registry.address}/built:{tag}" for tag in ("1", "2")]
    words = ("build", "--push", *(word for name in names for word in ("-t", name)), str(tmp_path))
    done = images(*words, check=True)
    assert "1: digest: sha256:" in done.stderr and "2: digest: sha256:" in done.stderr and done.stdout == ""
    assert registry.digest("built", "1") == registry.digest("built", "2")
    forget(images, *names)
    assert images("run", "--rm", "--network=none", names[1], "cat", "/made", check=True).stdout == "built\n"
    for wrong, why in (((), "tag is needed"), (("-t", names[0], "-o", str(tmp_path / "out")), "makes no image")):
        refused = images("build", "--push", *wrong, str(tmp_path))
        assert refused.returncode == 1 and why in refused.stderr and not (tmp_path / "out").exists()
    failed = images("build", "-q", "--push", "-t", "127.0.0.1:1/nobody:1", str(tmp_path))
    assert failed.returncode == 1 and failed.stdout == "" and "connection refused" in failed.stderr


def test_pushed_again_as_it_came(images: Minidock, registry: Registry) -> None:
    """What was pulled goes out with the same digest, and none of its bytes is sent twice."""
    digest = push(images, f"{registry.address}/first:1")
    forget(images, f"{registry.address}/first:1", "busybox")
    images("pull", "-q", f"{registry.address}/first:1", check=True)
    images("tag", f"{registry.address}/first:1", f"{registry.address}/second:1", check=True)
    out = images("push", f"{registry.address}/second:1", check=True).stdout
    assert "Mounted from first" in out and digest in out
    assert "Layer already exists" in images("push", f"{registry.address}/second:1", check=True).stdout


def test_by_digest(images: Minidock, registry: Registry) -> None:
    name = f"{registry.address}/bydigest"
    digest = push(images, f"{name}:1")
    forget(images, f"{name}:1", "busybox")
    out = images("pull", f"{name}@{digest}", check=True).stdout
    assert out.splitlines()[-1] == f"{name}@{digest}"
    listed = images("images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}", check=True).stdout
    assert listed == f"{name} <none> {digest}\n"
    assert images("run", "--rm", "--network=none", f"{name}@{digest}", "true").returncode == 0
    wrong = images("pull", f"{name}@sha256:{'0' * 64}")
    assert wrong.returncode == 1 and "not found: manifest unknown" in wrong.stderr


def test_all_tags(images: Minidock, registry: Registry) -> None:
    name = f"{registry.address}/many"
    for tag in ("1", "2", "3"):
        images("tag", "busybox", f"{name}:{tag}", check=True)
    assert images("push", "-a", name, check=True).stdout.count("digest: ") == 3
    forget(images, *(f"{name}:{tag}" for tag in ("1", "2", "3")), "busybox")
    assert images("pull", "-a", "-q", name, check=True).stdout == f"{name}\n"
    assert sorted(images("images", "--format", "{{.Tag}}", name).stdout.split()) == ["1", "2", "3"]


def test_many_tags(images: Minidock, registry: Registry) -> None:
    """130 names of one image: its layers are fetched once, each further tag costs two questions."""
    name = f"{registry.address}/pages"
    push(images, f"{name}:0")
    manifest = next((registry.directory / "data").rglob("pages/_manifests/tags/0"))
    for number in range(1, 130):
        shutil.copytree(manifest, manifest.with_name(str(number)))
    assert images("pull", "-a", name, check=True, timeout=120).stdout.count("Digest: ") == 130


# run and create


def test_run_pulls_what_is_absent(images: Minidock, registry: Registry) -> None:
    """stdout is the container's alone; the pull is told on stderr."""
    name = f"{registry.address}/absent"
    push(images, f"{name}:latest")
    forget(images, name, "busybox")
    done = images("run", "--rm", "--network=none", name, "echo", "ran")
    assert (done.stdout, done.returncode) == ("ran\n", 0)
    assert done.stderr.startswith(f"Unable to find image '{name}:latest' locally\nlatest: Pulling from absent\n")
    assert "Pull complete" in done.stderr
    assert images("run", "--rm", "--network=none", name, "true").stderr == ""


def test_pull_policies(images: Minidock, registry: Registry) -> None:
    name = f"{registry.address}/policy"
    push(images, f"{name}:latest")
    forget(images, name)
    assert images("create", "--pull", "never", name).returncode == 1
    created = images("create", "--pull", "missing", "-q", name, check=True)
    assert created.stderr == ""
    assert "Image is up to date" in images("create", "--pull", "always", name, check=True).stderr
    assert images("create", "--pull", "always", f"{name}:nosuch").returncode == 1


def test_no_thread_is_left(images: Minidock, registry: Registry) -> None:
    """A container is never forked beside a thread: the narration shows that the fork came after the pull's end."""
    name = f"{registry.address}/threads"
    push(images, f"{name}:latest")
    forget(images, name, "busybox")
    program = (
        "import sys, os; sys.path.insert(0, sys.argv[1]);"
        "from pathlib import Path; from minidock.engine import Engine; from minidock.paths import Layout;"
        "Engine(Layout(Path(sys.argv[2]))).pull(sys.argv[3], tell=lambda progress: None);"
        "print(len(os.listdir('/proc/self/task')))"
    )
    python = Path(__file__).resolve().parents[2]
    command = [images.command[0], "-c", program, str(python), str(images.layout.root), name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_nothing_is_loaded_without_a_registry(images: Minidock) -> None:
    """`run` of an image that is here never sees urllib3."""
    words = ["-X", "importtime", *images.command[1:], "run", "--rm", "--network=none", "busybox", "true"]
    done = subprocess.run([images.command[0], *words], capture_output=True, text=True, check=True)
    assert "minidock.engine.ensure" in done.stderr
    assert "urllib3" not in done.stderr and "image.registry" not in done.stderr


# Several at once, and interruptions


def layers_of(tmp_path: Path, minidock: Minidock, name: str, count: int, size: int) -> None:
    """An image of several layers, pushed; it isn't here afterwards."""
    from tests.support.images import docker_archive
    from tests.support.tarforge import member, tar

    layers = [tar(member(f"file{number}", os.urandom(size))) for number in range(count)]
    archive = docker_archive(tmp_path / "layers.tar", name, layers, {"Cmd": ["x"]})
    minidock("load", "-q", "-i", str(archive), check=True)
    minidock("push", "-q", name, check=True)
    forget(minidock, name)


def test_two_pulls_share_a_download(images: Minidock, registry: Registry, tmp_path: Path) -> None:
    """Five layers, four commands at once: all succeed, and each blob crossed the wire once."""
    name = f"{registry.address}/shared:1"
    layers_of(tmp_path, images, name, 5, 2 << 20)
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: images("pull", name), range(4)))
    assert [one.returncode for one in done] == [0, 0, 0, 0], done
    downloads = sum(one.stdout.count("Download complete") for one in done)
    assert downloads == 5
    assert check(ImageStore(images.layout)) == [] and not list(ImageStore(images.layout).partial.iterdir())


def test_interrupted_pull_is_gone_on_with(minidock: Minidock, layout: object) -> None:
    """Ctrl-C in the middle of a body: quickly out, only the part that can be resumed stays, and it is."""
    require_root()
    hold, reached = threading.Event(), threading.Event()
    with odd_registry() as odd:
        raw = os.urandom(3 << 20)
        import gzip

        from tests.support.tarforge import member, tar

        packed = gzip.compress(tar(member("big", raw)), 1, mtime=0)
        odd.image = odd.add_image([packed])

        def stall(handler: object) -> bool:
            handler.send_response(200)  # type: ignore[attr-defined]
            handler.send_header("Content-Length", str(len(packed)))  # type: ignore[attr-defined]
            handler.end_headers()  # type: ignore[attr-defined]
            handler.wfile.write(packed[: 2 << 20])  # type: ignore[attr-defined]
            handler.wfile.flush()  # type: ignore[attr-defined]
            reached.set()
            hold.wait(30)
            handler.close_connection = True  # type: ignore[attr-defined]
            return True

        odd.trick(odd.layer_digest(), stall, times=1)
        command = [*minidock.command, "pull", f"{odd.address}/app"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        partial = ImageStore(minidock.layout).partial / odd.layer_digest()[7:]
        assert reached.wait(30)
        wait_for(lambda: partial.exists() and partial.stat().st_size == 2 << 20)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
        hold.set()
        assert process.returncode == 130 and "Traceback" not in stderr
        store = ImageStore(minidock.layout)
        assert partial.stat().st_size == 2 << 20 and list(store.tmp.iterdir()) == [] and store.ids() == []
        minidock("pull", "-q", f"{odd.address}/app", check=True)
        assert odd.requests(odd.layer_digest())[-1]["range"] == f"bytes={2 << 20}-"
        assert not partial.exists()


def wait_for(condition: object, seconds: float = 30) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize("after", [0.05, 0.2, 0.4, 0.6])
def test_killed_pull(images: Minidock, registry: Registry, tmp_path: Path, after: float) -> None:
    """kill -9 at any moment: the next pull works, and leaves nothing of the first."""
    name = f"{registry.address}/killed{int(after * 100)}:1"
    layers_of(tmp_path, images, name, 3, 4 << 20)
    process = subprocess.Popen([*images.command, "pull", name], stdout=subprocess.DEVNULL)
    time.sleep(after)
    process.kill()
    process.wait()
    images("pull", "-q", name, check=True)
    store = ImageStore(images.layout)
    assert check(store) == [] and list(store.tmp.iterdir()) == [] and list(store.partial.iterdir()) == []


def test_memory_stays_the_same(minidock: Minidock, registry: Registry, tmp_path: Path) -> None:
    """A layer of 300 MB that unpacks from next to nothing, and goes out again: the peak is far below it."""
    require_root()
    tar = tmp_path / "big.tar"
    with open(tar, "wb") as file:
        from tests.support.tarforge import block

        file.write(block(b"big", size=300 << 20))
        file.truncate(512 + (300 << 20) + 1024)
    name = f"{registry.address}/large:1"
    minidock("import", str(tar), name, check=True)
    for words in (("push", "-q", name), ("pull", "-q", name)):
        done = subprocess.run(
            ["/usr/bin/env", "python3", "-c", _PEAK, *minidock.command, *words], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert int(done.stdout.split()[-1]) < 120 << 10
        if words[0] == "push":
            forget(minidock, name)


_PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_terminal(images: Minidock, registry: Registry) -> None:
    """On a terminal a layer has one line, rewritten; the final screen shows it complete."""
    import pyte

    name = f"{registry.address}/terminal"
    push(images, f"{name}:latest")
    forget(images, name, "busybox")
    master, slave = pty.openpty()
    process = subprocess.Popen([*images.command, "pull", name], stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    screen = pyte.Screen(120, 30)
    stream = pyte.ByteStream(screen)
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # EIO: the other end is closed
            break
        if not data:
            break
        stream.feed(data)
    os.close(master)
    assert process.wait() == 0
    lines = [line.rstrip() for line in screen.display if line.strip()]
    assert lines[1] == "latest: Pulling from terminal" and lines[2].endswith(": Pull complete")
    assert lines[3].startswith("Digest: ") and len(lines) == 6


# Passwords and TLS


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, Path]]:
    """bob's password is `secret`; the certificate is one of an authority that only the test knows."""
    require_root()
    directory = tmp_path_factory.mktemp("guarded")
    authority, certificate, key = make_authority(directory / "tls")
    registry = Registry(directory)
    registry.start(auth=registry.basic_auth(), tls=(certificate, key))
    yield registry, authority
    registry.stop()


def trust(minidock: Minidock, registry: Registry, authority: Path) -> None:
    place = minidock.layout.root / "certs.d" / registry.address
    place.mkdir(parents=True)
    shutil.copy(authority, place / "ca.crt")


def test_login_push_pull_logout(images: Minidock, guarded: tuple[Registry, Path], own_config: Path) -> None:
    registry, authority = guarded
    trust(images, registry, authority)
    name = f"{registry.address}/mine:1"
    images("tag", "busybox", name, check=True)
    refused = images("push", name)
    assert refused.returncode == 1 and "no basic auth credentials" in refused.stderr
    wrong = images("login", "-u", "bob", "--password-stdin", registry.address, input="wrong\n")
    assert wrong.returncode == 1 and "failed with status: 401 Unauthorized" in wrong.stderr
    assert not own_config.exists()
    right = images("login", "-u", "bob", "--password-stdin", registry.address, input="secret\n", check=True)
    assert right.stdout == "Login Succeeded\n" and "stored unencrypted" in right.stderr
    images("push", "-q", name, check=True)
    forget(images, name)
    images("pull", "-q", name, check=True)
    again = images("login", registry.address, check=True)
    assert "Authenticating with existing credentials... [Username: bob]" in again.stderr
    images("logout", registry.address, check=True)
    assert json.loads(own_config.read_text()) == {"auths": {}}
    gone = images("pull", name)
    assert gone.returncode == 1 and "no basic auth credentials" in gone.stderr


def test_certificates_are_checked_by_a_given_authority(images: Minidock, guarded: tuple[Registry, Path]) -> None:
    """The right authority lets us in; with another one nobody is told a password."""
    registry, _ = guarded
    place = images.layout.root / "certs.d" / registry.address
    place.mkdir(parents=True)
    other, _, _ = make_authority(images.layout.root / "other")
    shutil.copy(other, place / "ca.crt")
    done = images("login", "-u", "bob", "-p", "secret", registry.address)
    assert done.returncode == 1 and "x509: certificate signed by unknown authority" in done.stderr


def test_a_certificate_that_nobody_vouches_for(images: Minidock, guarded: tuple[Registry, Path]) -> None:
    """On this machine it is taken, as in Docker, and without a word."""
    registry, _ = guarded
    images("login", "-u", "bob", "--password-stdin", registry.address, input="secret\n", check=True)
    images("tag", "busybox", f"{registry.address}/quiet:1", check=True)
    for verb in ("push", "pull"):
        done = images(verb, "-q", f"{registry.address}/quiet:1", check=True)
        assert (done.stdout, done.stderr) == (f"{registry.address}/quiet:1\n", "")


def test_helper_in_use(images: Minidock, guarded: tuple[Registry, Path], own_config: Path, tmp_path: Path) -> None:
    """The password goes to the helper and comes from it; the file never has it."""
    registry, authority = guarded
    trust(images, registry, authority)
    program = tmp_path / "bin" / "docker-credential-box"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncase $1 in get) cat {tmp_path}/box ;; store) cat >{tmp_path}/box ;; esac\n")
    program.chmod(0o755)
    own_config.parent.mkdir()
    own_config.write_text(json.dumps({"credsStore": "box"}))
    env = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    (tmp_path / "box").write_text('{"Username": "", "Secret": ""}')
    done = images("login", "-u", "bob", "-p", "secret", registry.address, env=env, check=True)
    assert "unencrypted" not in done.stderr and "secret" not in own_config.read_text()
    images("tag", "busybox", f"{registry.address}/helped:1", check=True)
    images("push", "-q", f"{registry.address}/helped:1", env=env, check=True)


# Tokens


@pytest.fixture(scope="module")
def tokened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, TokenServer]]:
    require_root()
    directory = tmp_path_factory.mktemp("tokened")
    with token_server(directory / "tokens") as tokens, running(directory, auth=tokens.auth) as registry:
        yield registry, tokens


def test_tokens(images: Minidock, tokened: tuple[Registry, TokenServer], own_config: Path) -> None:
    """Login keeps a refresh token instead of the password; pushes, mounts and pulls get tokens of their scopes."""
    registry, tokens = tokened
    name = f"{registry.address}/team/base:1"
    images("tag", "busybox", name, check=True)
    denied = images("push", name)
    assert denied.returncode == 1 and "denied: requested access to the resource is denied" in denied.stderr
    wrong = images("login", "-u", "bob", "-p", "wrong", registry.address)
    assert wrong.returncode == 1 and "unauthorized: wrong user or password" in wrong.stderr
    images("login", "-u", "bob", "-p", "secret", registry.address, check=True)
    entry = json.loads(own_config.read_text())["auths"][registry.address]
    assert entry["identitytoken"] == "a-refresh-token" and "secret" not in own_config.read_text()
    images("push", "-q", name, check=True)
    images("tag", name, f"{registry.address}/team/app:1", check=True)
    assert "Mounted from team/base" in images("push", f"{registry.address}/team/app:1", check=True).stdout
    scopes = {scope for _, query, _ in tokens.asked for words in query.get("scope", []) for scope in words.split()}
    assert {"repository:team/app:pull,push", "repository:team/base:pull"} <= scopes
    forget(images, name, f"{registry.address}/team/app:1")
    images("pull", "-q", f"{registry.address}/team/app:1", check=True)


def test_anybody_may_pull_what_is_public(images: Minidock, tokened: tuple[Registry, TokenServer]) -> None:
    registry, tokens = tokened
    name = f"{registry.address}/public/app:1"
    images("login", "-u", "bob", "-p", "secret", registry.address, check=True)
    push(images, name)
    images("logout", registry.address, check=True)
    forget(images, name)
    secret = images("pull", name)
    assert secret.returncode == 1 and "pull access denied for" in secret.stderr
    tokens.public.add("public/app")
    images("pull", "-q", name, check=True)


# Mirrors, insecure registries, looking


def test_mirror_of_docker_hub(images: Minidock, registry: Registry) -> None:
    """With a mirror `run name` goes there first; one that lacks the image or is dead is passed over."""
    push(images, f"{registry.address}/library/mirrored:latest")
    forget(images, f"{registry.address}/library/mirrored")
    settings = {"registry-mirrors": ["http://127.0.0.1:1", f"http://{registry.address}"]}
    (images.layout.root / "daemon.json").write_text(json.dumps(settings))
    assert images("pull", "-q", "mirrored", check=True).stdout == "mirrored:latest\n"


def test_manifest_inspect(images: Minidock, registry: Registry) -> None:
    digest = push(images, f"{registry.address}/looked:1")
    document = json.loads(images("manifest", "inspect", f"{registry.address}/looked:1", check=True).stdout)
    assert document["schemaVersion"] == 2 and len(document["layers"]) == 1
    shown = json.loads(images("manifest", "inspect", "-v", f"{registry.address}/looked:1", check=True).stdout)
    assert shown["Descriptor"]["digest"] == digest and shown["SchemaV2Manifest"] == document
    missing = images("manifest", "inspect", f"{registry.address}/looked:2")
    assert (missing.returncode, missing.stdout) == (1, "") and "no such manifest" in missing.stderr


def test_search(minidock: Minidock) -> None:
    results = [
        {"name": "small", "description": "x " * 40, "star_count": 3, "is_official": False},
        {"name": "big", "description": None, "star_count": 30, "is_official": True},
    ]
    with odd_registry() as odd:
        body = json.dumps({"results": results}).encode()
        odd.trick("/v1/search", lambda handler: handler.reply(200, body) is None)
        out = minidock("search", f"{odd.address}/thing", check=True).stdout.splitlines()
        assert out[0].split() == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
        assert out[1].split() == ["big", "30", "[OK]"] and out[2].startswith("small") and "…" in out[2]
        assert [path for _, path, _ in odd.asked if "search" in path] == ["/v1/search?q=thing&n=25"]
        filtered = minidock("search", "-f", "stars=10", "--format", "{{.Name}}", f"{odd.address}/thing", check=True)
        assert filtered.stdout == "big\n"


def test_events(images: Minidock, registry: Registry) -> None:
    push(images, f"{registry.address}/told:1")
    images("pull", "-q", f"{registry.address}/told:1", check=True)
    form = "{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}}"
    told = images("events", "--since", "10m", "--until", "0s", "--format", form, check=True).stdout
    name = f"{registry.address}/told"
    assert f"push {name}:1 {name}\npull {name}:1 {name}\n" in told
