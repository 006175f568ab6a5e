"""Patterns by Go's rules: the table is what Docker's own matcher is known to answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.build.ignore import Ignore, compile_pattern, read_file, rules
from minidock.errors import MinidockError


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("**", "file", True),
        ("**/", "dir/file", True),
        ("**/file", "file", True),
        ("**/file", "a/b/file", True),
        ("**/file", "a/b/nofile", False),
        ("dir/**", "dir/file", True),
        ("dir/**", "dir", False),
        ("dir/**", "other/file", False),
        ("**/dir2/*", "dir/dir2/file", True),
        ("**/dir2/*", "dir/dir2/dir2/file", True),
        ("**/**/x", "a/b/c/x", True),
        ("a**b", "axxb", True),
        ("a**/x", "a/b/x", True),
        ("*.go", "a.go", True),
        ("*.go", "a/b.go", False),
        ("*", "a/b", True),  # fits the directory a, and so all below it
        ("a/*/c", "a/b/c", True),
        ("a/*/c", "a/b/d/c", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("[^a-c]x", "dx", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "axb", False),
        ("/abs", "abs", True),
        ("./dot", "dot", True),
        ("a/../b", "b", True),
        ("../up", "up", True),
        ("dir/", "dir/x", True),
        ("dir", "dir/x/y", True),
        ("dir", "dirx", False),
        (".", "anything/at/all", True),
        ("a.b", "axb", False),
        ("a+b", "a+b", True),
        ("é*", "éa", True),
    ],
)
def test_fits(pattern: str, path: str, fits: bool) -> None:
    assert Ignore(rules([pattern])).excludes(path) is fits


@pytest.mark.parametrize(
    ("lines", "kept", "gone"),
    [
        (["*", "!a"], ["a", "a/b"], ["b", "c/a"]),
        (["*.md", "!README*.md", "README-secret.md"], ["README.md"], ["x.md", "README-secret.md"]),
        (["*.md", "README-secret.md", "!README*.md"], ["README.md", "README-secret.md"], ["x.md"]),
        (["dir", "!dir/keep/this"], ["dir/keep/this", "dir/keep/this/x"], ["dir/x", "dir/keep/y"]),
        (["**", "!**/*.py"], ["a.py", "b/c.py"], ["a.txt"]),
        (["!a", "a"], [], ["a"]),
        (["a", "!a", "a/b"], ["a/c"], ["a/b"]),
    ],
)
def test_order(lines: list[str], kept: list[str], gone: list[str]) -> None:
    ignore = Ignore(rules(lines))
    assert [path for path in kept if ignore.excludes(path)] == []
    assert [path for path in gone if not ignore.excludes(path)] == []


def test_file() -> None:
    found = read_file("\ufeff# comment\n\n  a/b  \r\n!c\n #d\n")
    assert [(rule.pattern, rule.keeps) for rule in found] == [("a/b", False), ("c", True), ("#d", False)]


def test_pruning_keeps_the_way_to_what_comes_back() -> None:
    ignore = Ignore(rules(["dir", "other", "!dir/keep/x"]))
    assert ignore.prunes("other") and not ignore.prunes("dir") and not ignore.prunes("dir/keep")
    assert ignore.prunes("dir/gone")
    assert not Ignore(rules(["a", "!**/x"])).prunes("a")


@pytest.mark.parametrize("pattern", ["[", "a[", "[]a]", "[a-]", "a\\", "[-a]", "[z-a]"])
def test_bad_patterns(pattern: str) -> None:
    with pytest.raises(MinidockError, match="syntax error in pattern"):
        compile_pattern(pattern)


def test_bare_exclamation() -> None:
    with pytest.raises(MinidockError, match="illegal exclusion pattern"):
        rules(["!"])


@given(st.text(max_size=12), st.text("ab/.*", min_size=1, max_size=8))
def test_never_crashes(pattern: str, path: str) -> None:
    try:
        ignore = Ignore(rules([pattern]))
    except MinidockError:
        return
    ignore.excludes(path)
    ignore.prunes(path)


@given(st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4))
def test_a_path_fits_itself(parts: list[str]) -> None:
    path = "/".join(parts)
    assert Ignore(rules([path])).excludes(path)
    assert Ignore(rules([f"**/{parts[-1]}"])).excludes(path)
