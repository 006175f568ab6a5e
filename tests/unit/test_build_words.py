"""Variables: each modifier as sh has it, and what is refused."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.errors import MinidockError
from minidock.image.words import expand, located_words, split_words

KNOWN = {"A": "x", "E": "", "P": "/usr/local/lib/a.tar.gz", "N": "aXbXc", "STAR": "a*b*c"}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("$A", "x"),
        ("${A}y", "xy"),
        ("$Ay", ""),
        ("\\$A", "$A"),
        ("'$A'", "$A"),
        ('"$A"', "x"),
        ('"\\$A"', "$A"),
        ("$", "$"),
        ("$ $A", "$ x"),
        ("a$", "a$"),
        ("${A:-d}", "x"),
        ("${E:-d}", "d"),
        ("${E-d}", ""),
        ("${Z:-d}", "d"),
        ("${Z-d}", "d"),
        ("${A:+d}", "d"),
        ("${E:+d}", ""),
        ("${E+d}", "d"),
        ("${Z+d}", ""),
        ("${A:?no}", "x"),
        ("${E?no}", ""),
        ("${Z:-${A}-$A}", "x-x"),
        ("${Z:-'${A}'}", "${A}"),
        ('${Z:-"a b"}', "a b"),
        ("${P#*/}", "usr/local/lib/a.tar.gz"),
        ("${P##*/}", "a.tar.gz"),
        ("${P%.*}", "/usr/local/lib/a.tar"),
        ("${P%%.*}", "/usr/local/lib/a"),
        ("${P%nothing}", "/usr/local/lib/a.tar.gz"),
        ("${P#?usr}", "/local/lib/a.tar.gz"),
        ("${STAR#a\\*}", "b*c"),
        ("${STAR%\\**}", "a*b"),
        ("${Z#x}", ""),
        ("${N/X/-}", "a-bXc"),
        ("${N//X/-}", "a-b-c"),
        ("${N/X*/}", "a"),
        ("${N/nothing/-}", "aXbXc"),
        ("${N//X/$A}", "axbxc"),
        ("$1", ""),
        ("$@", ""),
    ],
)
def test_value(word: str, value: str) -> None:
    assert expand(word, KNOWN) == value


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("${}", "bad substitution"),
        ("${:x}", "bad substitution"),
        ("${A", "in substitution"),
        ("${A:-x", "missing '}'"),
        ("${A:x}", "unsupported modifier (:x)"),
        ("${A:#x}", "unsupported modifier (:#)"),
        ("${A^}", "unsupported modifier (^)"),
        ("${Z:?}", "Z: is not allowed to be unset"),
        ("${E:?}", "E: is not allowed to be empty"),
        ("${Z?give one}", "Z: give one"),
        ("${A/x", "missing '/'"),
        ("${A/x/y", "missing '}'"),
        ("'x", "matching single-quote"),
        ('"x', "matching double-quote"),
    ],
)
def test_refused(word: str, said: str) -> None:
    with pytest.raises(MinidockError) as caught:
        expand(word, KNOWN)
    assert said in caught.value.message


def test_other_escape() -> None:
    assert expand("`$A \\$A", KNOWN, escape="`") == "$A \\x"


def test_missing_names_are_told() -> None:
    missing: set[str] = set()
    expand("$A ${Z:-x} $Y ${W/a/b}", KNOWN, missing=missing)
    assert missing == {"Y", "W"}


def test_split() -> None:
    assert split_words("a 'b c' \"d e\"f g\\ h") == ["a", "'b c'", '"d e"f', "g\\ h"]
    assert located_words("  a  'b c'") == [(2, "a"), (5, "'b c'")]
    assert split_words("a` b", escape="`") == ["a` b"]


MODIFIERS = st.sampled_from(["#", "##", "%", "%%"])
TEXTS = st.text("ab.*?/", max_size=8)


@given(TEXTS, MODIFIERS, st.text("ab.*?", max_size=4))
def test_trimming_as_the_shell_does(value: str, modifier: str, pattern: str) -> None:
    if modifier == "#" and pattern.startswith("#"):
        return
    script = f'printf %s "${{V{modifier}{pattern}}}"'
    shell = subprocess.run(["sh", "-c", script], env={"V": value}, capture_output=True, text=True, check=True).stdout
    assert expand(f"${{V{modifier}{pattern}}}", {"V": value}) == shell
