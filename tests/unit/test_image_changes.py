"""--change: what Docker 20.10 answered to the same instructions is written down here."""

import msgspec
import pytest

from minidock.errors import MinidockError
from minidock.image.changes import apply_changes
from minidock.image.manifest import RunConfig

GOOD = {
    "CMD echo hi": {"Cmd": ["/bin/sh", "-c", "echo hi"]},
    'cmd ["A","B"]': {"Cmd": ["A", "B"]},
    'CMD ["a"': {"Cmd": ["/bin/sh", "-c", '["a"']},
    'ENTRYPOINT ["/x", "-y"]': {"Entrypoint": ["/x", "-y"]},
    "EXPOSE 80 443/tcp 8000-8001/udp": {"ExposedPorts": {"80/tcp": {}, "443/tcp": {}, "8000/udp": {}, "8001/udp": {}}},
    "EXPOSE 1:80": {"ExposedPorts": {"80/tcp": {}}},
    "ENV a=1 b=\"x y\" c='$a' d=\\$d": {"Env": ["a=1", "b=x y", "c=$a", "d=$d"]},
    "ENV a b=c": {"Env": ["a=b=c"]},
    "ENV d e f": {"Env": ["d=e f"]},
    "ENV a=1 a=2": {"Env": ["a=2"]},
    "ENV a=1\nENV b=${a}z c=${x:-no} d=${a:+yes} e=$a$": {"Env": ["a=1", "b=1z", "c=no", "d=yes", "e=1$"]},
    'LABEL "x"="y z" a=b': {"Labels": {"x": "y z", "a": "b"}},
    "ONBUILD RUN ls": {"OnBuild": ["RUN ls"]},
    "USER a b": {"User": "a b"},
    'VOLUME ["/a","/b"]\nVOLUME /c /d': {"Volumes": {"/a": {}, "/b": {}, "/c": {}, "/d": {}}},
    "WORKDIR /x\nWORKDIR y/../z": {"WorkingDir": "/x/z"},
    "WORKDIR  a  b ": {"WorkingDir": "/a  b"},
    "STOPSIGNAL SIGRTMIN+3": {"StopSignal": "SIGRTMIN+3"},
    "STOPSIGNAL 9": {"StopSignal": "9"},
}

BAD = {
    "RUN x": "run is not a valid change command",
    "FROM x": "from is not a valid change command",
    "SHELL []": "shell is not a valid change command",
    "": "file with no instructions",
    "# x": "file with no instructions",
    "EXPOSE a": "Invalid containerPort: a",
    "EXPOSE 70000": "Invalid containerPort: 70000",
    "EXPOSE 80-70/tcp": "Invalid containerPort: 80-70",
    "EXPOSE 80/foo": "Invalid proto: foo",
    "ENV": "ENV requires at least one argument",
    "ENV x": "ENV must have two arguments",
    "ENV =x": "ENV names can not be blank",
    "ENV a=b c": 'Syntax error - can\'t find = in "c". Must be of the form: name=value',
    'ENV a="b': 'failed to process "\\"b": unexpected end of statement while looking for matching double-quote',
    "ENV a=${b": "failed to process \"${b\": missing ':' in substitution",
    "LABEL": "LABEL requires at least one argument",
    "LABEL x": "LABEL must have two arguments",
    "USER": "USER requires exactly one argument",
    "WORKDIR": "WORKDIR requires exactly one argument",
    "ONBUILD": "ONBUILD requires at least one argument",
    "ONBUILD ONBUILD RUN x": "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
    "ONBUILD FROM x": "FROM isn't allowed as an ONBUILD trigger",
    "VOLUME": "VOLUME requires at least one argument",
    "VOLUME []": "VOLUME requires at least one argument",
    'VOLUME [""]': "VOLUME specified can not be an empty string",
    "HEALTHCHECK": "HEALTHCHECK requires at least one argument",
    "HEALTHCHECK FOO": 'Unknown type "FOO" in HEALTHCHECK (try CMD)',
    "HEALTHCHECK CMD": "Missing command after HEALTHCHECK CMD",
    "HEALTHCHECK NONE x": "HEALTHCHECK NONE takes no arguments",
    "HEALTHCHECK --interval=x CMD y": 'time: invalid duration "x"',
    "HEALTHCHECK --retries=0 CMD x": "--retries must be at least 1 (not 0)",
    'HEALTHCHECK --interval=0s CMD ["x"]': 'Interval "interval" cannot be less than 1ms',
    "HEALTHCHECK --bad=1 CMD x": "Unknown flag: bad",
    "STOPSIGNAL FOO": "Invalid signal: FOO",
}


@pytest.mark.parametrize("change", GOOD)
def test_good_changes(change: str) -> None:
    assert msgspec.to_builtins(apply_changes(RunConfig(), [change])) == GOOD[change]


@pytest.mark.parametrize("change", BAD)
def test_bad_changes(change: str) -> None:
    with pytest.raises(MinidockError) as caught:
        apply_changes(RunConfig(), [change])
    assert caught.value.message == BAD[change]


def test_healthcheck() -> None:
    line = "HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=2s --retries=3 CMD test -f /x"
    check = apply_changes(RunConfig(), [line]).healthcheck
    assert check is not None and check.test == ["CMD-SHELL", "test -f /x"]
    assert (check.interval, check.timeout, check.start_period, check.retries) == (90 * 10**9, 5 * 10**8, 2 * 10**9, 3)
    none = apply_changes(RunConfig(), ["HEALTHCHECK NONE"]).healthcheck
    assert none is not None and none.test == ["NONE"]


def test_an_entrypoint_takes_the_command_below_with_it() -> None:
    below = RunConfig(cmd=["below"])
    assert apply_changes(below, ["ENTRYPOINT x"]).cmd is None
    assert apply_changes(below, ["CMD mine", "ENTRYPOINT x"]).cmd == ["/bin/sh", "-c", "mine"]
    assert apply_changes(below, ["ENTRYPOINT x", "CMD mine"]).cmd == ["/bin/sh", "-c", "mine"]
