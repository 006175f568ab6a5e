"""What `minidock __complete` offers: tables' words, names that the engine knows, nothing loud when it can't."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from minidock.cli import TOP, app, completing_names, context, swarm_api
from minidock.cli.commands import Noun
from minidock.errors import MinidockError


class Engine:
    def containers(self, *, all: bool = False) -> list[Any]:
        web = SimpleNamespace(names=["/web"], image="busybox", status="Up 2 minutes")
        old = SimpleNamespace(names=["/old"], image="busybox", status="Exited (0) 1 hour ago")
        return [web, old] if all else [web]

    def images(self) -> list[Any]:
        return [
            SimpleNamespace(repo_tags=tags) for tags in (["busybox:latest", "host:5000/a:1"], ["<none>:<none>"], [])
        ]

    def networks(self) -> list[Any]:
        return [{"Name": "bridge", "Driver": "bridge"}, {"Name": "backend", "Driver": "bridge"}]

    def volumes(self) -> list[Any]:
        return [SimpleNamespace(name="data", driver="local")]


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "engine", Engine)


def complete(line: str) -> tuple[list[str], bool]:
    """The candidates for the last word of the line (empty behind a blank), and whether files fit."""
    result = CliRunner().invoke(app, ["__complete", "--", *line.split(" ")], catch_exceptions=False)
    assert result.exit_code == 0
    assert not result.stderr
    *found, last = result.stdout.splitlines()
    assert last in (":files", ":end")
    return [row.partition("\t")[0] for row in found], last == ":files"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("im", ["images", "image", "import"]),
        ("__com", []),
        ("container insp", ["inspect"]),
        ("ps --no", ["--no-trunc"]),
        ("--tlsc", ["--tlscacert", "--tlscert"]),
        ("-v net", ["network"]),
        ("help vol", ["volume"]),
        ("rm ", ["web", "old"]),
        ("container remove w", ["web"]),
        ("rm web ", ["old"]),
        ("rm -f o", ["old"]),
        ("stop ", ["web"]),
        ("rename old ", []),
        ("run -it --rm b", ["busybox"]),
        ("run -e A=1 -p bad:bad:bad:bad --name x bu", ["busybox"]),
        ("rmi host:5000/a:", ["host:5000/a:1"]),
        ("run --network ", ["bridge", "backend", "host", "none"]),
        ("run --network=ba", ["--network=backend"]),
        ("run --restart un", ["unless-stopped"]),
        ("run --name ", []),
        ("network connect b", ["bridge", "backend"]),
        ("network connect backend o", ["old"]),
        ("network connect backend old ", []),
        ("volume rm ", ["data"]),
        ("inspect ", ["web", "old", "busybox", "host:5000/a:1", "bridge", "backend", "data"]),
        ("lab check broken-1", ["broken-1"]),
        ("ps ", []),
        ("nonsense ", []),
        ("volume nonsense ", []),
        ("rm --nonsense ", []),
    ],
)
def test_words_and_names(line: str, found: list[str]) -> None:
    assert complete(line) == (found, False)


@pytest.mark.parametrize(
    "line",
    ["build ", "run --env-file ", "run --env-file=", "run busybox ", "run busybox ls -", "exec web ls --", "cp -- -"],
)
def test_files(line: str) -> None:
    assert complete(line) == ([], True)


def test_behind_two_hyphens_no_flag_is_offered() -> None:
    assert complete("rm -- -") == ([], False)


def test_what_fails_is_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable() -> Engine:
        raise MinidockError("no daemon")

    monkeypatch.setattr(context, "engine", unreachable)
    assert complete("rm ") == ([], False)


def test_half_a_command_without_words_is_told() -> None:
    result = CliRunner().invoke(app, ["__complete"])
    assert result.exit_code == 1
    assert "requires at least 1 argument" in result.stderr


def test_every_command_with_names_exists() -> None:
    """A renamed command would lose its names silently."""
    top: dict[str, Noun] = {}
    for words in [*completing_names.ARGUMENTS, *completing_names.FIRST]:
        name, _, verb = words.partition(" ")
        assert name in TOP, words
        if verb:
            noun = top.setdefault(name, app.get_command(None, name))  # type: ignore[arg-type]
            assert verb in noun.table, words


def test_every_flag_with_values_exists() -> None:
    from minidock.cli.described import pages

    known = {flag.name for page in pages() for flag in page.flags}
    assert set(completing_names.FLAGS) - {"net"} <= known


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts_ask_minidock(shell: str) -> None:
    result = CliRunner().invoke(app, ["completion", shell], catch_exceptions=False)
    assert result.exit_code == 0
    assert "__complete -- " in result.stdout


def test_other_commands_do_not_load_it() -> None:
    probe = (
        "import sys, click; from minidock.cli import app; app.get_command(click.Context(app), 'ps');"
        "print([name for name in sys.modules if name.startswith(('minidock.cli.complet', 'minidock.cli.described'))])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"


SWARM = {
    "/services": [{"Spec": {"Name": "shop_web", "Labels": {"com.docker.stack.namespace": "shop"}}}],
    "/nodes": [{"Spec": {}, "Description": {"Hostname": "one"}}],
    "/secrets": [{"Spec": {"Name": "key"}}],
    "/configs": [{"Spec": {"Name": "conf"}}],
}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("service rm ", ["shop_web"]),
        ("service scale ", ["shop_web="]),
        ("node update ", ["one"]),
        ("node inspect ", ["one", "self"]),
        ("secret rm ", ["key"]),
        ("config inspect ", ["conf"]),
        ("stack ps ", ["shop"]),
        ("swarm join-token w", ["worker"]),
        ("service update --secret-rm ", ["key"]),
        ("node update --availability d", ["drain"]),
    ],
)
def test_names_of_a_swarm_come_from_its_daemon(line: str, found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm_api, "get", lambda path, **query: SWARM[path])
    assert complete(line) == (found, False)
