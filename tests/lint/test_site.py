"""The documentation site builds, every link in it leads somewhere, and it asks nobody on the web for anything."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "scripts" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    config = str(REPOSITORY / "mkdocs.yml")
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "-d", str(tmp_path / "site")],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    chapter = (tmp_path / "site" / "book" / "02-namespaces.html").read_text(encoding="utf-8")
    assert 'href="../code/minidock/kernel/namespaces.py.html"' in chapter
    assert (tmp_path / "site" / "code" / "minidock" / "kernel" / "namespaces.py.html").exists()
    assert re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(?:https?:)?//[^"]*"', chapter) == []


def test_a_page_that_nobody_has_listed_is_in_the_navigation_too() -> None:
    from mkdocs.config.defaults import MkDocsConfig

    config = MkDocsConfig()
    config.nav = [{"The book": ["book/README.md", {"One": "book/01-processes.md"}]}, "oci.md"]
    [*_, last] = script("site").on_config(config).nav
    named = {"book/README.md", "book/01-processes.md", "oci.md"}
    docs = REPOSITORY / "docs"
    assert {*last["Further"]} | named == {str(page.relative_to(docs)) for page in docs.glob("**/*.md")}
    assert not named & {*last["Further"]}


@pytest.mark.parametrize(
    ("page", "link", "there"),
    [
        ("book/03-root.md", "../../minidock/steps.py", "../code/minidock/steps.py.md"),
        ("book/README.md", "../../README.md", "../index.md"),
        ("index.md", "docs/book/README.md", "book/README.md"),
        ("index.md", "LICENSE", "code/LICENSE.md"),
        ("oci.md", "nosuch.md", "nosuch.md"),
        ("oci.md", "../minidock/nosuch.py", "../minidock/nosuch.py"),
    ],
)
def test_a_link_is_bent_only_when_its_target_exists(page: str, link: str, there: str) -> None:
    assert script("site")._bent(page, link) == there


def test_the_pictures_are_those_of_the_plan() -> None:
    """Made anew by scripts/docs."""
    directory = REPOSITORY / "docs" / "pictures"
    assert {path.name: path.read_text(encoding="utf-8") for path in directory.iterdir()} == script("pictures").drawn()
