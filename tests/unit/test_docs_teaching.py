"""docs/teaching.md: the plan names each lab and each broken engine once, by its title, and never before its lab."""

import re
from pathlib import Path

from minidock.labs import catalogue, faults

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "teaching.md").read_text(encoding="utf-8")
WEEKS = re.findall(r"^\| (\d+) \| ([^|]*) \| ([^|]*?) ?\| [^|]* \|$", PAGE, re.MULTILINE)


def test_the_plan_has_every_lab_in_order() -> None:
    planned = [lab for _, lab, _ in WEEKS if lab]
    assert planned == [f"{lab.number} {lab.title}" for lab in catalogue.labs()]


def test_the_plan_has_every_fault_after_its_lab() -> None:
    week_of = {lab.split()[0]: int(week) for week, lab, _ in WEEKS if lab}
    planned = {fault: int(week) for week, _, fault in WEEKS if fault}
    known = {f"{fault.number} {fault.title}": fault for fault in faults.faults()}
    assert planned.keys() == known.keys()
    for name, week in planned.items():
        assert week > week_of[known[name].lab], name
