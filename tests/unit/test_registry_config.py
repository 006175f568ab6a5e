"""config.json and credential helpers, as Docker reads and writes them."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from minidock.errors import MinidockError
from minidock.image.registry.auth import NOBODY, Credentials
from minidock.image.registry.config import HUB, DockerConfig, path, server_key

BOB = Credentials("bob", "se:cret")


def written(where: Path, document: object) -> DockerConfig:
    where.write_text(document if isinstance(document, str) else json.dumps(document))
    return DockerConfig(where)


@pytest.mark.parametrize(
    ("server", "key"),
    [
        ("docker.io", HUB),
        ("index.docker.io", HUB),
        ("https://index.docker.io/v1/", HUB),
        ("", HUB),
        ("registry.test:5000", "registry.test:5000"),
        ("https://registry.test/v2/", "registry.test"),
        ("http://localhost:5000", "localhost:5000"),
    ],
)
def test_server_key(server: str, key: str) -> None:
    assert server_key(server) == key


def test_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    assert path() == tmp_path / ".docker" / "config.json"
    monkeypatch.setenv("DOCKER_CONFIG", "/elsewhere")
    assert path() == Path("/elsewhere/config.json")


def test_written_as_docker_does(tmp_path: Path) -> None:
    where = tmp_path / "deep" / "config.json"
    assert DockerConfig(where).store("127.0.0.1:5001", Credentials("bob", "secret")) is True
    assert where.read_text() == (
        '{\n\t"auths": {\n\t\t"127.0.0.1:5001": {\n\t\t\t"auth": "Ym9iOnNlY3JldA=="\n\t\t}\n\t}\n}'
    )
    assert stat.S_IMODE(where.stat().st_mode) == 0o600 and stat.S_IMODE(where.parent.stat().st_mode) == 0o700
    again = DockerConfig(where)
    assert again.credentials("127.0.0.1:5001") == Credentials("bob", "secret")
    assert again.store("127.0.0.1:5001", Credentials("bob", "secret")) is False  # nothing new to warn about
    again.erase("127.0.0.1:5001")
    assert where.read_text() == '{\n\t"auths": {}\n}'


def test_what_we_do_not_know_stays(tmp_path: Path) -> None:
    config = written(tmp_path / "c.json", {"psFormat": "x", "auths": {}, "plugins": {"a": {"b": "ü"}}})
    config.store("r.test", BOB)
    document = json.loads((tmp_path / "c.json").read_text())
    assert document["psFormat"] == "x" and document["plugins"] == {"a": {"b": "ü"}}
    assert DockerConfig(tmp_path / "c.json").credentials("r.test") == BOB


def test_a_symlink_stays_one(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "config.json").symlink_to("dotfiles/config.json")
    DockerConfig(tmp_path / "config.json").store("r.test", BOB)
    assert (tmp_path / "config.json").is_symlink() and (tmp_path / "dotfiles/config.json").exists()


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"auth": "Ym9iOnNlOmNyZXQ="}, BOB),
        ({"username": "bob", "password": "se:cret"}, BOB),
        ({"auth": "Ym9iOg==", "identitytoken": "long"}, Credentials("bob", "", "long")),
        ({"registrytoken": "jwt"}, Credentials(registry_token="jwt")),
        ({}, NOBODY),
        (None, NOBODY),
    ],
)
def test_entries(tmp_path: Path, entry: object, expected: Credentials) -> None:
    assert written(tmp_path / "c.json", {"auths": {"r.test": entry}}).credentials("r.test") == expected


def test_old_keys_are_addresses(tmp_path: Path) -> None:
    config = written(tmp_path / "c.json", {"auths": {"https://r.test/v1/": {"auth": "Ym9iOnNlOmNyZXQ="}}})
    assert config.credentials("r.test") == BOB and config.credentials("other.test") == NOBODY
    config.erase("r.test")
    assert json.loads((tmp_path / "c.json").read_text()) == {"auths": {}}


@pytest.mark.parametrize("text", ["{", "[1]", '"x"', "nonsense"])
def test_damaged_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(MinidockError, match=r"not (JSON|a JSON object)"):
        written(tmp_path / "c.json", text)


def test_damaged_credentials(tmp_path: Path) -> None:
    with pytest.raises(MinidockError, match=r"damaged credentials of r\.test"):
        written(tmp_path / "c.json", {"auths": {"r.test": {"auth": "***"}}}).credentials("r.test")


def test_headers(tmp_path: Path) -> None:
    assert written(tmp_path / "c.json", {"HttpHeaders": {"X-Meta": "1", "Bad": 2}}).headers == {"X-Meta": "1"}


# Helpers


HELPER = """\
#!/bin/sh
echo "$1" >>"$0.calls"
case $1 in
get) read -r server
    case $server in
    token.test) echo '{"ServerURL":"token.test","Username":"<token>","Secret":"long"}' ;;
    r.test) echo '{"ServerURL":"r.test","Username":"bob","Secret":"se:cret"}' ;;
    odd.test) echo nonsense ;;
    broken.test) echo the safe is locked; exit 1 ;;
    *) echo credentials not found in native keychain; exit 1 ;;
    esac ;;
*) cat >>"$0.calls" ;;
esac
"""


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """docker-credential-safe in PATH; it notes what it is asked for."""
    program = tmp_path / "bin" / "docker-credential-safe"
    program.parent.mkdir()
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return Path(f"{program}.calls")


def test_helper_for_all(tmp_path: Path, helper: Path) -> None:
    config = written(tmp_path / "c.json", {"credsStore": "safe"})
    assert config.credentials("r.test") == BOB
    assert config.credentials("token.test") == Credentials(identity_token="long")
    assert config.credentials("unknown.test") == NOBODY


def test_helper_for_one(tmp_path: Path, helper: Path) -> None:
    config = written(
        tmp_path / "c.json", {"credHelpers": {"r.test": "safe"}, "auths": {"x.test": {"auth": "Ym9iOnNlOmNyZXQ="}}}
    )
    assert config.credentials("r.test") == config.credentials("x.test") == BOB
    assert helper.read_text() == "get\n"


def test_helper_keeps_the_password_out_of_the_file(tmp_path: Path, helper: Path) -> None:
    config = written(tmp_path / "c.json", {"credsStore": "safe"})
    assert config.store("r.test", BOB) is False
    assert json.loads((tmp_path / "c.json").read_text()) == {"auths": {"r.test": {}}, "credsStore": "safe"}
    assert json.loads(helper.read_text().partition("\n")[2]) == {
        "ServerURL": "r.test",
        "Username": "bob",
        "Secret": "se:cret",
    }
    config.erase("r.test")
    assert helper.read_text().endswith("erase\nr.test")


@pytest.mark.parametrize(
    ("name", "server", "text"),
    [
        ("safe", "odd.test", "can't be understood"),
        ("safe", "broken.test", "the safe is locked"),
        ("missing", "r.test", "docker-credential-missing: executable file not found"),
        ("../../bin/sh", "r.test", "not the name of a credential helper"),
    ],
)
def test_helper_fails(tmp_path: Path, helper: Path, name: str, server: str, text: str) -> None:
    with pytest.raises(MinidockError, match=text):
        written(tmp_path / "c.json", {"credsStore": name}).credentials(server)
