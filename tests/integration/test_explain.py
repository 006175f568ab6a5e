"""--explain in its forms: what is told is what was done, for run, exec, rm and build."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.instance import Minidock
from tests.support.needs import require_root

pytestmark = pytest.mark.usefixtures("minidock")


@pytest.fixture(autouse=True)
def _root() -> None:
    require_root()


def rows(told: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in told.splitlines() if line.startswith("{")]


def test_json_tells_every_step_of_the_dry_run_in_its_order_and_what_was_undone(minidock: Minidock) -> None:
    options = ["--memory", "64m", "busybox"]
    told = rows(minidock("run", "--rm", "--explain=json", *options, "true", check=True).stderr)
    planned = minidock("run", "--dry-run", *options, "true", check=True).stdout
    sentences = re.findall(r"^ +\d+\. (.*)$", planned, re.M)
    done = [row for row in told if row["event"] == "done"]
    assert [nameless(str(row["what"])) for row in done] == [nameless(sentence) for sentence in sentences]
    assert {row["where"] for row in done} == {"host", "container"}
    assert all(row["why"] and row["shell"] and row["man"] and ".py:" in str(row["source"]) for row in done)
    assert next(row for row in done if row["step"] == "SetHostname")["where"] == "container"
    assert next(row for row in done if row["step"] == "MakeCgroup")["where"] == "host"
    assert "MakeCgroup" in [row["step"] for row in told if row["event"] == "undone"]


def nameless(sentence: str) -> str:
    """Without what differs between two containers: ids and numbers."""
    return re.sub(r"\b(veth|_ses\.)?[0-9a-f]{10,}|[\d.]+", "*", sentence)


class Outside(HTMLParser):
    """Whatever a browser would fetch, and whether the tags match."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.fetched += [f"{tag} {value}" for name, value in attrs if name in ("src", "href", "data", "srcset")]


def test_the_report_needs_nothing_from_outside_and_has_all_pictures(minidock: Minidock, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    ran = minidock(
        "run", "--rm", f"--explain=html:{path}", "--memory", "64m", "busybox", "echo", "<b>&", check=True
    )  # fmt: skip
    assert ran.stdout == "<b>&\n" and f"the report is in {path}" in ran.stderr
    text = path.read_text()
    page = Outside()
    page.feed(text)
    assert page.fetched == [] and "@import" not in text and "url(#" in text and "url(h" not in text
    assert page.counts["svg"] == 5 and page.counts["details"] > 40
    for fact in (
        "memory.",
        "64 MiB",
        "The way of a packet",
        "/upper",
        "eth0",
        "minidock/kernel/uts.py:",
    ):
        assert fact in text
    assert "<b>&\n" not in text and "&lt;b&gt;&amp;" in text


def test_a_report_of_a_failure_says_what_failed(minidock: Minidock, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    ran = minidock("run", "--rm", f"--explain=html:{path}", "busybox", "/nowhere")
    assert ran.returncode == 127
    report = path.read_text()
    assert '<details class="container failed" open>' in report and "stat /nowhere: no such file" in report


def test_the_picture_of_an_exec_has_the_container_s_namespaces(minidock: Minidock, tmp_path: Path) -> None:
    minidock("run", "-d", "--name", "entered", "busybox", "sleep", "1000", check=True)
    minidock("exec", f"--explain=html:{tmp_path}/exec.html", "entered", "true", check=True)
    picture = (tmp_path / "exec.html").read_text().partition("namespaces of the container")[2].partition("</svg>")[0]
    whose = re.findall(r"(its own|the host&#x27;s|joined: a container&#x27;s)<", picture)
    assert (whose.count("joined: a container&#x27;s"), whose.count("the host&#x27;s")) == (6, 2), picture


def test_exec_and_rm_tell_their_steps(minidock: Minidock) -> None:
    minidock("run", "-d", "--name", "told", "busybox", "sleep", "1000", check=True)
    entered = minidock("exec", "--explain", "told", "echo", "hello", check=True)
    assert entered.stdout == "hello\n"
    assert "setns(2)" in entered.stderr and "seccomp" in entered.stderr and "become echo hello" in entered.stderr
    removed = rows(minidock("rm", "-f", "--explain=json", "told", check=True).stderr)
    assert {"MakeCgroup", "HoldAddress"} <= {str(row["step"]) for row in removed if row["event"] == "undone"}
    done = [row["step"] for row in removed if row["event"] == "done"]
    assert done == ["KillFirst", "Forget"], "what is done, beside what is undone, is told, too"
    minidock("create", "--name", "never", "busybox", "true", check=True)
    removed = rows(minidock("rm", "--explain=json", "never", check=True).stderr)
    assert [(row["event"], row["step"]) for row in removed] == [("done", "Forget")]


def test_network_create_tells_its_steps_and_rm_takes_them_away(minidock: Minidock) -> None:
    made = minidock("network", "create", "--explain", "told", check=True)
    assert "make the bridge" in made.stderr and "ip link add" in made.stderr and "nft" in made.stderr
    assert len(made.stdout.strip()) == 64
    minidock("network", "rm", "told", check=True)


def test_build_tells_its_runs(minidock: Minidock) -> None:
    built = minidock("build", "--explain=json", "-q", "-", input="FROM busybox\nRUN true\n", check=True)
    assert "Spawn" in [row["step"] for row in rows(built.stderr)]


def test_a_builds_report_has_the_steps_of_its_runs(minidock: Minidock, tmp_path: Path) -> None:
    """Each RUN is a process of its own: what was kept in its memory was lost with it."""
    path = tmp_path / "report.html"
    minidock("build", f"--explain=html:{path}", "-q", "-", input="FROM busybox\nRUN true\n", check=True)
    report = path.read_text()
    assert report.count("<svg") >= 4 and "clone the first process" in report


@pytest.mark.parametrize(
    ("form", "said"),
    [("pdf", "the forms are text, json, html"), ("html:/nowhere/x.html", "no such file"), ("json:", "the forms are")],
)
def test_a_form_that_is_none_is_refused_before_anything_runs(minidock: Minidock, form: str, said: str) -> None:
    ran = minidock("run", "--rm", f"--explain={form}", "busybox", "echo", "ran")
    assert ran.returncode in (1, 125) and said in ran.stderr.lower() and ran.stdout == ""
    assert minidock("ps", "-aq", check=True).stdout == ""
