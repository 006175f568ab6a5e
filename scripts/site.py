"""What mkdocs needs told (mkdocs.yml, `hooks`): README.md is the site's first page, and the code is part of it.

The pages are read on disk, too, and link to files outside of docs/, as `../../minidock/steps.py`. In the site each of
those is a page of its own with its lines numbered, so that it can be read without a network and without a repository.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)((?:#[^)\s]*)?)(?=\))")
"""The target of a link that is none of the web's, and its fragment."""
LANGUAGES = {".py": "python", ".c": "c", ".h": "c", ".sh": "sh", ".json": "json", ".toml": "toml", ".yml": "yaml"}
FIRST = "index.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Whoever writes a page need not think of the navigation: what mkdocs.yml doesn't name comes last."""
    pages = (str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").glob("**/*.md"))
    if further := sorted(set(pages) - set(_named(config.nav))):
        config.nav = [*(config.nav or []), {"Further": further}]
    return config


def _named(nav: object) -> Iterator[str]:
    """All pages of a navigation, however deep."""
    if isinstance(nav, str):
        yield nav
    for below in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else []:
        yield from _named(below)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the first page and a page for each file that is linked to."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, FIRST, content=readme))
    texts = {page.src_uri: page.content_string for page in files.documentation_pages()}
    for path in sorted({path for uri, text in texts.items() for path in _code(uri, text)}):
        files.append(File.generated(config, f"code/{path}.md", content=_shown(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Bend the links to where their targets are in the site."""
    uri = page.file.src_uri
    if uri.startswith("code/"):
        return markdown
    return LINK.sub(lambda found: f"{_bent(uri, found[1])}{found[2]}", markdown)


def _target(uri: str, link: str) -> str:
    """The path in the repository that a link of a page leads to."""
    base = "" if uri == FIRST else posixpath.dirname(f"docs/{uri}")
    return posixpath.normpath(posixpath.join(base, link))


def _code(uri: str, text: str) -> set[str]:
    targets = (_target(uri, found[1]) for found in LINK.finditer(text))
    return {path for path in targets if _is_code(path)}


def _is_code(path: str) -> bool:
    return not path.startswith("docs/") and path != "README.md" and (ROOT / path).is_file()


def _bent(uri: str, link: str) -> str:
    """What leads nowhere stays as it is: mkdocs then says so."""
    path = _target(uri, link)
    if path == "README.md":
        there = FIRST
    elif _is_code(path):
        there = f"code/{path}.md"
    elif path.startswith("docs/"):
        there = path.removeprefix("docs/")
    else:
        return link
    return posixpath.relpath(there, posixpath.dirname(uri) or ".")


def _shown(path: str) -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    language = LANGUAGES.get(Path(path).suffix, "text")
    head = f"---\nsearch:\n  exclude: true\n---\n# {path}\n"
    return f'{head}\n{fence} {{.{language} linenums="1"}}\n{text.rstrip()}\n{fence}\n'
