"""Dockerfiles → instructions: places, continuations, heredocs, forms; and what can't be understood says where."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minidock.build import commands, grammar, lint, stages
from minidock.build.commands import Copy, Health, Pairs, Run, ShellOrExec
from minidock.errors import DockerfileError
from tests.support.baddockerfiles import BAD


def read(text: str) -> stages.Program:
    return stages.program(grammar.parse(text.encode()))


def one(text: str) -> Any:
    """The last instruction's value."""
    return read(f"FROM a\n{text}").stages[0].commands[-1]


@pytest.mark.parametrize(("raw", "said", "place"), BAD, ids=range(len(BAD)))
def test_malformed(raw: bytes, said: str, place: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        stages.program(grammar.parse(raw))
    error = caught.value
    assert said in error.message
    assert f"{error.line}:{error.column}" == place
    assert f"line {error.line}:" in error.message
    assert "^" in error.excerpt or not raw.strip()
    assert error.hint or "did you mean" in error.message, "what was expected?"


def test_excerpt() -> None:
    with pytest.raises(DockerfileError) as caught:
        grammar.parse(b"FROM a\nRUN x\n\tRUNN y\nRUN z\nRUN last\nRUN unseen\n", "dir/My.Dockerfile")
    assert caught.value.excerpt.splitlines() == [
        "dir/My.Dockerfile:3",
        "--------------------",
        "   1 |     FROM a",
        "   2 |     RUN x",
        "   3 | >>> \tRUNN y",
        "     |     \t^~~~",
        "   4 |     RUN z",
        "   5 |     RUN last",
        "--------------------",
    ]


def test_an_excerpt_moves_no_cursor() -> None:
    with pytest.raises(DockerfileError) as caught:
        grammar.parse("FROM a\n\x1b[2J\x9b1A\x07é\u202e\n".encode())
    assert "   2 | >>> ?[2J?1A?é?\n" in caught.value.excerpt and "\x1b" not in caught.value.excerpt


# Lines


def test_continuations() -> None:
    found = one("RUN a \\\n  # comment\n  && b \\  \n\n && c\nRUN d").at.source
    program = read("FROM a\nRUN a \\\n  # comment\n  && b \\  \n\n && c\n")
    run = program.stages[0].commands[0]
    assert isinstance(run, Run) and found.lines
    assert run.line == "a   && b  && c"
    assert run.at.line.place(run.at.line.text.index("b")) == (4, 6)
    assert run.at.line.gaps == [5]


def test_escaped_backslash_is_no_continuation() -> None:
    program = read("FROM a\nRUN a \\\\\nRUN b\n")
    assert [command.line for command in program.stages[0].commands if isinstance(command, Run)] == ["a \\\\", "b"]


def test_escape_directive() -> None:
    run = read("# escape=`\nFROM a\nRUN dir c:\\ `\n  x\n").stages[0].commands[0]
    assert isinstance(run, Run) and run.line == "dir c:\\   x"


def test_directives_end_at_the_first_other_line() -> None:
    document = grammar.parse(b"# syntax=x/y:1\n# hello\n# escape=`\nFROM a\n").document
    assert document.escape == "\\" and document.directives == {"syntax": ("x/y:1", 1)}


def test_byte_order_mark_and_carriage_returns() -> None:
    run = read("\ufeffFROM a\r\nRUN a \\\r\n b\r\n").stages[0].commands[0]
    assert isinstance(run, Run) and run.line == "a  b"


def test_comment_in_a_line_is_none() -> None:
    assert one("RUN echo # not").line == "echo # not"


# Heredocs


def test_heredoc_script() -> None:
    run = one("RUN <<EOF\nls\n  pwd\nEOF\n")
    assert [(each.name, each.content, each.expand) for each in run.at.heredocs] == [("EOF", "ls\n  pwd\n", True)]


def test_several_heredocs() -> None:
    run = one("RUN cat <<A - <<-'B' > /x\na\nA\n\tb\n\tB\n")
    assert [(each.name, each.data, each.expand) for each in run.at.heredocs] == [
        ("A", "a\n", True),
        ("B", "b\n", False),
    ]


def test_heredoc_files() -> None:
    copy = one('COPY <<one.txt local <<"two.txt" /dir/\n1 $A\none.txt\n2 $A\ntwo.txt\n')
    assert isinstance(copy, Copy)
    assert [word.text for word in copy.sources] == ["local"]
    assert [(file.name, file.expand) for file in copy.files] == [("one.txt", True), ("two.txt", False)]


@pytest.mark.parametrize("line", ['RUN echo "<<EOF"', "RUN cat <<< here", "ENV A=<<EOF", "RUN echo '<<'"])
def test_no_heredoc(line: str) -> None:
    assert one(line).at.heredocs == []


def test_heredoc_in_onbuild() -> None:
    assert one("ONBUILD RUN <<EOF\nls\nEOF\n").trigger == "RUN <<EOF\nls\nEOF"


# Forms


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('CMD ["a", "b c"]', ["a", "b c"]),
        ('CMD [ "a" , "\\u00e9" ]', ["a", "é"]),
        ("CMD []", []),
        ("CMD ['a', 'b']", None),
        ('CMD ["a" "b"]', None),
        ('CMD ["a",]', None),
        ("CMD [ -f x ] && y", None),
        ("CMD echo", None),
    ],
)
def test_json_or_shell(line: str, words: list[str] | None) -> None:
    command = one(line)
    assert isinstance(command, ShellOrExec) and command.exec == words
    assert command.line == line.removeprefix("CMD ")


def test_pairs() -> None:
    command = one("ENV A=1 B=\"two words\" C=x\\ y D='$A' E=")
    assert isinstance(command, Pairs) and not command.legacy
    assert [(name, value) for name, value, _ in command.pairs] == [
        ("A", "1"),
        ("B", '"two words"'),
        ("C", "x\\ y"),
        ("D", "'$A'"),
        ("E", ""),
    ]
    old = one("ENV A  one =two  ")
    assert old.legacy and [(name, value) for name, value, _ in old.pairs] == [("A", "one =two")]


def test_flags() -> None:
    command = one("COPY --from=x --chown=a:b --exclude=*.x --exclude=y --link -- --odd /to")
    assert [(flag.name, flag.value) for flag in command.at.flags] == [
        ("from", "x"),
        ("chown", "a:b"),
        ("exclude", "*.x"),
        ("exclude", "y"),
        ("link", "true"),
    ]
    assert [word.text for word in command.sources] == ["--odd"] and command.target.text == "/to"


def test_health() -> None:
    command = one('HEALTHCHECK --interval=1m30s --retries=3 CMD ["a"]')
    assert isinstance(command, Health) and command.exec == ["a"] and command.at.flag("interval") == "1m30s"


# Whatever is thrown at it

ODD = st.sampled_from(
    [*grammar.KEYWORDS, "\\\n", "\n", " ", "\t", "<<EOF", "EOF", '["a"]', "$A", "${A:-", "}", "'", '"']
)
SOUP = st.lists(st.one_of(ODD, st.text(max_size=5)), max_size=30).map("".join)


@given(SOUP)
@example("FROM a\nRUN ${" + "${A:-" * 500)
@example("FROM a\nRUN " + "[" * 5000)
@example("FROM a\nARG A=" + "${A:-" * 200 + "}" * 200)
def test_never_crashes(text: str) -> None:
    """A Dockerfile, or an error that says where."""
    raw = text.encode(errors="surrogatepass")
    try:
        file = grammar.parse(raw)
        program = stages.program(file)
        lint.lint(file, program=program)
    except DockerfileError as error:
        assert 1 <= error.line <= max(1, raw.count(b"\n") + 1)


@given(st.binary(max_size=200))
def test_never_crashes_on_bytes(raw: bytes) -> None:
    try:
        stages.program(grammar.parse(raw))
    except DockerfileError as error:
        assert error.message


WORDS = st.text(
    st.characters(codec="ascii", exclude_characters="\\\n\r<#", exclude_categories=["Cc"]), min_size=1, max_size=8
)
PLAIN = WORDS.filter(lambda word: not word.isspace() and not word.startswith(("-", "[")) and word.strip() == word)


@given(st.lists(PLAIN, min_size=1, max_size=5), st.data())
def test_round_trip(parts: list[str], data: st.DataObject) -> None:
    """Wherever the line is broken, the instruction is the same, and every character is found again at its place."""
    whole = " ".join(parts)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole)), max_size=3)))
    broken = "".join(
        char
        + (
            "\\\n"
            if at + 1 in cuts and not whole[at + 1 :].lstrip().startswith("#") and whole[at + 1 :].strip()
            else ""
        )
        for at, char in enumerate(whole)
    )
    text = f"FROM a\nRUN {broken}\n"
    run = read(text).stages[0].commands[0]
    assert isinstance(run, Run) and run.line == whole
    lines = text.split("\n")
    for offset, char in enumerate(run.at.line.text):
        line, column = run.at.line.place(offset)
        assert lines[line - 1][column - 1] == char


def test_nested_value() -> None:
    assert commands.read(grammar.nested(one("ONBUILD RUN ls").at)).at.keyword == "RUN"
