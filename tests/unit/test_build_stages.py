"""Stages, scopes of variables, what a target needs; modes; and the lint rules."""

from __future__ import annotations

import pytest

from minidock.build import grammar, lint, stages
from minidock.build.commands import Arg
from minidock.build.ignore import Ignore, rules
from minidock.build.modes import parse_mode
from minidock.build.stages import Plan, Scope
from minidock.errors import DockerfileError, MinidockError, UsageError
from minidock.image.manifest import Platform

HERE = Platform("amd64", "linux")


def plan(text: str, target: str = "", **args: str) -> Plan:
    program = stages.program(grammar.parse(text.encode()))
    return stages.plan(program, target=target, build_args=args, platforms=(HERE, HERE))


def scope_of(found: Plan, index: int, env: list[str] | None = None) -> dict[str, str]:
    scope = Scope(found, env or [])
    for command in found.program.stages[index].commands:
        if isinstance(command, Arg):
            scope.declare(command)
    return scope.known()


# Which stages

CHAIN = """\
FROM a AS one
FROM b AS two
COPY --from=one /x /x
FROM two AS three
FROM c AS unused
FROM three
RUN --mount=from=one,target=/m ls
"""


def test_only_what_is_needed() -> None:
    found = plan(CHAIN)
    assert found.needs == {0: set(), 1: {0}, 2: {1}, 4: {2, 0}}
    assert found.order() == [0, 1, 2, 4]
    assert found.bases == {0: "a", 1: "b", 2: 1, 4: 2}


@pytest.mark.parametrize(("target", "index"), [("two", 1), ("TWO", 1), ("0", 0), ("", 4), ("unused", 3)])
def test_target(target: str, index: int) -> None:
    assert plan(CHAIN, target).target.index == index


def test_target_missing() -> None:
    with pytest.raises(UsageError, match='target stage "nine" could not be found'):
        plan(CHAIN, "nine")


def test_later_stage_of_the_same_name_wins() -> None:
    assert plan("FROM a AS x\nFROM b AS x\nFROM x\n").bases[2] == 1


def test_a_stage_may_have_an_images_name() -> None:
    assert plan("FROM busybox AS busybox\nFROM busybox\n").bases == {0: "busybox", 1: 0}


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("FROM a AS x\nCOPY --from=x a b\n", 1, "circular dependency detected on stage: x"),
        ("FROM a AS x\nCOPY --from=y a b\nFROM a AS y\nCOPY --from=x a b\n", 3, "circular dependency"),
        ("FROM a\nCOPY --from=7 a b\n", 2, "invalid from flag value 7"),
        ("FROM $NONE\n", 1, "should not be blank"),
        ("ARG A\nFROM ${A}\n", 2, "should not be blank"),
        ("ARG A=${\nFROM x\n", 1, "missing '}'"),
        ("FROM ${A:?give}\n", 1, "A: give"),
    ],
)
def test_impossible(text: str, place: int, said: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        plan(text)
    assert said in caught.value.message and caught.value.line == place


# Which variables


def test_args_before_from() -> None:
    found = plan("ARG V=1\nARG W=$V.2\nFROM a:$W AS x\nARG V\nARG W=own\nARG U\n")
    assert found.bases[0] == "a:1.2"
    assert scope_of(found, 0) == {"V": "1", "W": "own"}


def test_given_args() -> None:
    found = plan("ARG V=1\nFROM a:$V\nARG V\nARG OTHER=x\n", V="9", OTHER="y", NOBODY="z")
    assert found.bases[0] == "a:9" and scope_of(found, 0) == {"V": "9", "OTHER": "y"}


def test_env_wins_over_arg() -> None:
    assert scope_of(plan("FROM a\nARG A=arg\n"), 0, ["A=env"]) == {"A": "env"}


def test_platform_args() -> None:
    found = plan("FROM --platform=$BUILDPLATFORM a:$TARGETARCH\nARG TARGETPLATFORM\n")
    assert found.bases[0] == "a:amd64" and scope_of(found, 0) == {"TARGETPLATFORM": "linux/amd64"}
    assert stages.platform_of(found, found.target) == "linux/amd64"


def test_args_end_with_their_stage() -> None:
    assert scope_of(plan("FROM a AS x\nARG A=1\nFROM b\nARG B=$A\n"), 1) == {"B": ""}


# Modes


@pytest.mark.parametrize(
    ("text", "before", "directory", "after"),
    [
        ("755", 0o600, False, 0o755),
        ("0644", 0o777, True, 0o644),
        ("4755", 0, False, 0o4755),
        ("u=rwX,go=rX", 0o600, False, 0o644),
        ("u=rwX,go=rX", 0o700, True, 0o755),
        ("u=rwX,go=rX", 0o711, False, 0o755),
        ("+x", 0o644, False, 0o755),
        ("a-w", 0o666, False, 0o444),
        ("go=", 0o777, False, 0o700),
        ("u+s,g+s,+t", 0o755, False, 0o7755),
        ("g=u", 0o640, False, 0o660),
        ("u-x+w", 0o555, False, 0o655),
    ],
)
def test_mode(text: str, before: int, directory: bool, after: int) -> None:
    assert oct(parse_mode(text).applied(before, directory=directory)) == oct(after)


@pytest.mark.parametrize("text", ["", "8", "99999", "rwx", "u~x", "u=q", "x+u", "755x"])
def test_no_mode(text: str) -> None:
    with pytest.raises(MinidockError, match="invalid chmod parameter"):
        parse_mode(text)


# Lint


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('FROM a\nCMD ["x"]\n', []),
        ("FROM a AS Bee\n", ["StageNameCasing:1"]),
        ("FROM a as b\n", ["FromAsCasing:1"]),
        ("from a AS b\n", ["FromAsCasing:1"]),
        ("FROM a\nRUN x \\\n\n y\n", ["NoEmptyContinuation:2"]),
        ("FROM a\nrun x\nRUN y\n", ["ConsistentInstructionCasing:2"]),
        ("from a\nrun x\nRUN y\n", ["ConsistentInstructionCasing:3"]),
        ("FROM a AS x\nFROM b AS x\n", ["DuplicateStageName:2"]),
        ("FROM a AS scratch\n", ["ReservedStageName:1"]),
        ("FROM a\nCMD x\nENTRYPOINT y\n", ["JSONArgsRecommended:2", "JSONArgsRecommended:3"]),
        ('FROM a\nSHELL ["sh", "-c"]\nCMD x\n', []),
        ("FROM a\nMAINTAINER me\n", ["MaintainerDeprecated:2"]),
        ("FROM a:$TAG\n", ["UndefinedArgInFrom:1"]),
        ("ARG TAG\nFROM a:${TAG}\n", ["InvalidDefaultArgInFrom:2"]),
        ("ARG TAG=1\nFROM a:${TAG}\n", []),
        ("FROM a\nWORKDIR x\n", ["WorkdirRelativePath:2"]),
        ("FROM a\nWORKDIR /x\nWORKDIR y\n", []),
        ("FROM a\nCOPY $nowhere /\n", ["UndefinedVar:2"]),
        ("FROM a\nARG x\nENV y=$x z=$PATH\nCOPY $y /\n", []),
        ("FROM a AS one\nARG x=1\nFROM one\nUSER $x\n", []),
        ('FROM a\nCMD ["x"]\nCMD ["y"]\n', ["MultipleInstructionsDisallowed:2"]),
        ("FROM a\nENV A b\nLABEL c d\n", ["LegacyKeyValueFormat:2", "LegacyKeyValueFormat:3"]),
        ("FROM --platform=$TARGETPLATFORM a\n", ["RedundantTargetPlatform:1"]),
        ("FROM --platform=linux/arm64 a\n", ["FromPlatformFlagConstDisallowed:1"]),
        (
            "FROM a\nENV API_TOKEN=x\nARG PASSWORD\nARG PUBLIC_KEY\n",
            ["SecretsUsedInArgOrEnv:2", "SecretsUsedInArgOrEnv:3"],
        ),
        ("FROM a\nEXPOSE 80/TCP\n", ["ExposeProtoCasing:2"]),
        ("FROM a\nEXPOSE 8080:80\n", ["ExposeInvalidFormat:2"]),
        ("FROM a\nCOPY gone/x kept /d/\n", ["CopyIgnoredFile:2"]),
        ("# check=skip=JSONArgsRecommended\nFROM a\nCMD x\n", []),
        ("# check=skip=all\nFROM a\nCMD x\n", []),
    ],
)
def test_lint(text: str, found: list[str]) -> None:
    rows = lint.lint(grammar.parse(text.encode()), ignore=Ignore(rules(["gone"])))
    assert [f"{row.rule}:{row.first}" for row in rows] == found


def test_lint_suggests() -> None:
    rows = lint.lint(grammar.parse(b"FROM a\nARG VERSION=1\nUSER $VERSIN\n"))
    assert rows[0].message == "Usage of undefined variable '$VERSIN' (did you mean $VERSION?)"


def test_check_directive() -> None:
    assert lint.settings(grammar.parse(b"# check=skip=A,B;error=true\nFROM a\n")) == lint.Settings(["A", "B"], True)
    with pytest.raises(DockerfileError, match="invalid check option"):
        lint.settings(grammar.parse(b"# check=nonsense\nFROM a\n"))
