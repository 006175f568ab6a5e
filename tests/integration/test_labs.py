"""Every lab can be solved, says what is missing when nothing is written, and knows what people do wrong.

Each check runs the student's program in a sandbox (minidock/labs/sandbox.py) and asks the kernel.
"""

import os
import subprocess
from pathlib import Path

import pytest

from minidock.labs import catalogue, check, faults
from minidock.labs.bench import Fact
from minidock.labs.catalogue import Lab, WrongAnswer
from minidock.labs.faults import Fault
from minidock.labs.workspace import Workspace
from tests.support.instance import Minidock
from tests.support.needs import require_root

LABS = catalogue.labs()
WRONG = [(lab, wrong) for lab in LABS for wrong in lab.wrong_answers()]


def workplace(directory: Path) -> Path:
    """A student's directory in which every lab is solved."""
    for lab in LABS:
        (directory / lab.file).write_text(lab.solution())
    return directory


def told(facts: list[Fact]) -> str:
    return "\n".join(f"{fact.true} {fact.text}: {fact.found} ({fact.hint})" for fact in facts)


ON_BOTH_HIERARCHIES = ("06",)
"""Solved on a machine with the unified hierarchy, too. Lab 12 makes its cgroup with the program of lab 6."""
SOLVED = [pytest.param(lab, marks=pytest.mark.vm if lab.number in ON_BOTH_HIERARCHIES else ()) for lab in LABS]


@pytest.mark.parametrize("lab", SOLVED, ids=lambda lab: lab.number)
def test_the_solution_is_right(lab: Lab, tmp_path: Path) -> None:
    require_root()
    facts = check.check(lab, workplace(tmp_path) / lab.file)
    assert facts and all(fact.true for fact in facts), told(facts)


def test_what_the_shell_left_open_is_not_held_against_the_program(tmp_path: Path) -> None:
    require_root()
    [lab] = [lab for lab in LABS if lab.number == "04"]
    left = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(left, True)
    try:
        facts = check.check(lab, workplace(tmp_path) / lab.file)
    finally:
        os.close(left)
    assert facts and all(fact.true for fact in facts), told(facts)


@pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.number)
def test_the_skeleton_says_what_is_missing(lab: Lab, tmp_path: Path) -> None:
    require_root()
    (workplace(tmp_path) / lab.file).write_text(lab.skeleton())
    facts = check.check(lab, tmp_path / lab.file)
    assert not facts[-1].true and facts[-1].text == "everything is written", told(facts)
    assert lab.file in facts[-1].found and facts[-1].hint.startswith("to do: ")


@pytest.mark.parametrize(("lab", "wrong"), WRONG, ids=[f"{lab.number}-{wrong.about}" for lab, wrong in WRONG])
def test_a_wrong_answer_gets_its_hint(lab: Lab, wrong: WrongAnswer, tmp_path: Path) -> None:
    require_root()
    (workplace(tmp_path) / lab.file).write_text(wrong.of(lab.solution()))
    facts = check.check(lab, tmp_path / lab.file)
    last = facts[-1]
    assert not last.true and wrong.hint in f"{last.text} {last.found} {last.hint}", told(facts)


MISTYPED = {
    "    isolate(\n": ("the program runs without an error", "lab03_mounts.py:", "Python's own word"),
    "    isolate(1)\n": ("the program runs without an error", "TypeError", "Python's own word"),
}


@pytest.mark.parametrize("typed", MISTYPED)
def test_a_slip_of_the_pen_is_told_with_its_line(typed: str, tmp_path: Path) -> None:
    require_root()
    [lab] = [lab for lab in LABS if lab.number == "03"]
    program = workplace(tmp_path) / lab.file
    program.write_text(lab.solution().replace("    isolate()\n", typed))
    last = check.check(lab, program)[-1]
    text, found, hint = MISTYPED[typed]
    assert last.text == text and found in last.found and hint in last.hint, told([last])


def test_a_changed_image_may_be_refused_in_any_words(tmp_path: Path) -> None:
    require_root()
    [lab] = [lab for lab in LABS if lab.number == "12"]
    program = workplace(tmp_path) / lab.file
    words = "is not what its name says: the image was changed"
    assert words in lab.solution()
    program.write_text(lab.solution().replace(words, "has been tampered with"))
    facts = check.check(lab, program)
    assert all(fact.true for fact in facts), told(facts)


def test_every_lab_knows_several_wrong_answers() -> None:
    assert len(LABS) == 12
    for lab in LABS:
        assert len(lab.wrong_answers()) >= 4, lab.name


@pytest.mark.parametrize("fault", faults.faults(), ids=lambda fault: fault.number)
def test_a_fault_shows_in_the_kernel_and_goes_with_its_line(fault: Fault, tmp_path: Path) -> None:
    require_root()
    workspace = Workspace(tmp_path)
    workspace.start(fault)
    program = workspace.program(fault)
    facts = check.check(fault, program)
    assert not facts[-1].true and facts[-1].found and facts[-1].look, told(facts)
    assert "Error" not in facts[-1].found, "a broken engine runs: only what it does is wrong"
    program.write_text(workspace.put_solution(fault).read_text())
    facts = check.check(fault, program)
    assert all(fact.true for fact in facts), told(facts)


def test_a_fault_is_told_without_its_reason(minidock: Minidock, tmp_path: Path) -> None:
    require_root()
    env = {"MINIDOCK_LABS": str(tmp_path)}
    assert "10.88.0.2 as sender" in minidock("lab", "start", "broken-8", env=env, check=True).stdout
    result = minidock("lab", "check", "broken-8", env=env)
    assert result.returncode == 1 and "FALSE  the world answers" in result.stdout and "hint:" not in result.stdout
    assert "Hint 1 of 3" in minidock("lab", "hint", "broken-8", env=env, check=True).stdout
    assert len(faults.faults()) >= 6


def test_a_student_s_way(minidock: Minidock, tmp_path: Path) -> None:
    """start, check, hint, write, check, reset: as one types them."""
    require_root()
    env = {"MINIDOCK_LABS": str(tmp_path / "mine")}
    started = minidock("lab", "start", "4", env=env, check=True)
    assert "of lab 01, 02, 03 you get the solutions" in started.stdout and "## Hints" not in started.stdout
    program = tmp_path / "mine" / "lab04_root.py"
    assert "NotImplementedError" in program.read_text()
    failed = minidock("lab", "check", "4", env=env)
    assert failed.returncode == 1 and "FALSE  everything is written" in failed.stdout
    hints = [minidock("lab", "hint", "4", env=env, check=True).stdout for _ in range(4)]
    assert [hint[:11] for hint in hints] == ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "Hint 3 of 3"]
    assert "minidock lab solution 4" in hints[2] and "solution" not in hints[1]
    again = minidock("lab", "start", "4", env=env)
    assert again.returncode == 1 and "lab reset 04" in again.stderr
    program.write_text(catalogue.find("4").solution())
    passed = minidock("lab", "check", "root", env=env, check=True)
    assert "04 is done: 5 facts, all true." in passed.stdout
    listed = minidock("lab", "ls", env=env, check=True).stdout.splitlines()
    assert len(listed) >= 12 and "done" in listed[3] and "started" in listed[2]
    minidock("lab", "reset", "4", env=env, check=True)
    assert program.with_suffix(".py.1").read_text() == catalogue.find("4").solution()
    assert "NotImplementedError" in program.read_text()


def test_a_program_runs_by_hand_in_a_sandbox(minidock: Minidock, tmp_path: Path) -> None:
    require_root()
    env = {"MINIDOCK_LABS": str(workplace(tmp_path))}
    result = minidock("lab", "run", "2", "fresh", "sh", "-c", "hostname; cat; exit 3", env=env, input="from stdin\n")
    assert (result.stdout, result.returncode) == ("fresh\nfrom stdin\n", 3), result.stderr
    killed = minidock("lab", "run", "1", "sh", "-c", "kill -TERM $$", env=env)
    assert killed.returncode == 143
    assert minidock("lab", "run", "--host", "1", "echo", "out here", env=env, check=True).stdout == "out here\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["check", "3"], "minidock lab start 03"),
        (["start", "99"], "No such lab: 99"),
        (["start"], "requires 1 argument"),
        (["hint", "../../etc"], "No such lab"),
        (["start", "broken-99"], "No such fault: broken-99"),
    ],
)
def test_bad_input(minidock: Minidock, tmp_path: Path, words: list[str], says: str) -> None:
    result = minidock("lab", *words, env={"MINIDOCK_LABS": str(tmp_path)})
    assert result.returncode == 1 and says in result.stderr and "Traceback" not in result.stderr


def test_the_last_lab_runs_a_real_image(minidock: Minidock, tmp_path: Path) -> None:
    """The one that minidock itself has made and saved."""
    require_root()
    work, layout = workplace(tmp_path), tmp_path / "layout"
    layout.mkdir()
    minidock("create", "busybox", check=True)
    minidock("save", "-o", str(tmp_path / "image.tar"), "busybox", check=True)
    subprocess.run(["tar", "-x", "-f", str(tmp_path / "image.tar"), "-C", str(layout)], check=True)
    check_file = tmp_path / "check.py"
    check_file.write_text(
        "def check(host):\n"
        f"    said = host.run({str(layout)!r}, str(host.base / 'scratch'), 'sh', '-c', 'echo $0 $$; id -u')\n"
        "    host.fact('it runs', said.out == 'sh 2\\n0\\n' and said.code == 0, found=f'{said.out}{said.err}')\n"
    )
    facts = check.facts_of(check_file, work / "lab12_image.py")
    assert facts[-1].true, told(facts)


SEEN = {
    "01": "7",
    "02": "fresh",
    "03": "ps -ef",
    "04": "usr",
    "05": "c---------",
    "06": "137",
    "07": "Operation not permitted",
    "08": "Seccomp_filters:",
    "09": "100000",
    "10": "10.88.0.2",
    "12": "uid=0",
}
"""What one sees of what lab.md says to type. Lab 11 needs two terminals."""


def test_what_a_lab_says_to_type_works(minidock: Minidock, tmp_path: Path) -> None:
    """One after the other, in one directory: later labs use what earlier ones have made."""
    require_root()
    commands, labs = tmp_path / "bin", tmp_path / "labs"
    for directory in (commands, labs, tmp_path / "work"):
        directory.mkdir()
    workplace(labs)
    (commands / "minidock").write_text(f'#!/bin/sh\nexec {" ".join(minidock.command)} "$@"\n')
    (commands / "sudo").write_text('#!/bin/sh\n"$@"\n')
    for program in commands.iterdir():
        program.chmod(0o755)
    env = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "MINIDOCK_LABS": str(labs)}
    for lab in LABS:
        if lab.number not in SEEN:
            continue
        task = lab.text().partition("## Task")[2].partition("## Hints")[0]
        lines = [line.strip() for line in task.splitlines() if line.startswith("    ")]
        script = "\n".join(lines).replace("sleep 60", "true").replace("/tmp/whose", f"{tmp_path}/whose")
        said = subprocess.run(
            ["sh", "-c", f"exec 2>&1\n{script}"],
            cwd=tmp_path / "work",
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
        ).stdout
        assert SEEN[lab.number] in said and "Traceback" not in said, f"{lab.name}\n{script}\n{said}"


def test_a_check_leaves_nothing_behind(tmp_path: Path) -> None:
    """Whatever the student's program does: here it fails in the middle, with a cgroup made and a process waiting."""
    require_root()
    lab = catalogue.find("6")
    text = lab.solution().replace("    apply_all(plan.joined", "    raise OSError(pid)\n    apply_all(plan.joined")
    (workplace(tmp_path) / lab.file).write_text(text)
    before = set(Path("/proc/self/mountinfo").read_text().splitlines())
    facts = check.check(lab, tmp_path / lab.file)
    assert not facts[-1].true
    new = set(Path("/proc/self/mountinfo").read_text().splitlines()) - before  # some may be another test's
    assert not [line for line in new if "minidock-lab" in line or line.split()[4] in ("/", "/proc", "/dev")]
    name = f"check-{os.getpid()}"
    places = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]
    assert not [place for place in places if (place / "minidock-lab" / name).exists()]
    assert not list(Path("/tmp").glob(f"minidock-lab-*/{name}"))
