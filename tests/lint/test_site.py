"""The documentation site builds, every link in it leads somewhere, and it asks nobody on the web for anything."""

import asyncio
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.browser import in_browser

REPOSITORY = Path(__file__).resolve().parents[2]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "scripts" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of docs/, built; a warning would have failed it."""
    config, site = str(REPOSITORY / "mkdocs.yml"), tmp_path_factory.mktemp("docs") / "site"
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "-d", str(site)],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return site


def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(site: Path) -> None:
    chapter = (site / "book" / "02-namespaces.html").read_text(encoding="utf-8")
    assert 'href="../code/minidock/kernel/namespaces.py.html"' in chapter
    assert (site / "code" / "minidock" / "kernel" / "namespaces.py.html").exists()
    for page in (*site.glob("*.html"), *site.glob("book/*.html")):
        loaded = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="([^"]*)"', page.read_text(encoding="utf-8"))
        assert [address for address in loaded if re.match("(https?:)?//", address)] == [], page


def test_search_works_in_a_page_that_is_opened_as_a_file(site: Path, tmp_path: Path) -> None:
    """From a memory stick, in a class room without a network."""
    box = "document.querySelector('[data-md-component=search-query]')"
    found = "document.querySelector('[data-md-component=search-result]').innerText"
    typed = f"{box}.focus() ?? ({box}.value = 'namespaces')"
    tell = f"{box}.dispatchEvent(new KeyboardEvent('keyup', {{bubbles: true}}))"
    script = f"({typed}) && {tell} && {found}.includes('matching documents') && !{found}.startsWith('No') && {found}"
    [said] = asyncio.run(in_browser((site / "book" / "07-cgroups.html").as_uri(), tmp_path / "profile", script))
    assert "2. Namespaces" in said


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
