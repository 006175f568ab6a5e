"""A service of a compose file → API `ServiceSpec`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .service_fields import tagged
from .service_parts import mount
from .service_parts import ports as ports_of
from .stack_file import NAMESPACE
from .units import cpus, duration, size

Body = dict[str, Any]
SECONDS = ("delay", "monitor", "window")


def spec(stack: str, name: str, given: Body, config: Body, ids: dict[str, Body]) -> Body:
    """`ids`: what was made of networks, secrets and configs, by kind and name. Raises UsageError."""
    deploy = given.get("deploy") or {}
    container: Body = {
        "Image": tagged(str(given["image"])),
        "Labels": {**pairs(given.get("labels")), NAMESPACE: stack},
        "Env": _environment(given),
        "Command": command_words(given.get("entrypoint")),
        "Args": command_words(given.get("command")),
        "Hostname": given.get("hostname"),
        "User": None if given.get("user") is None else str(given["user"]),
        "Dir": given.get("working_dir"),
        "TTY": given.get("tty"),
        "OpenStdin": given.get("stdin_open"),
        "Init": given.get("init"),
        "ReadOnly": given.get("read_only"),
        "StopSignal": given.get("stop_signal"),
        "CapabilityAdd": given.get("cap_add"),
        "CapabilityDrop": given.get("cap_drop"),
        "Sysctls": pairs(given.get("sysctls")) or None,
        "Hosts": _hosts(given.get("extra_hosts")),
        "DNSConfig": _dns(given),
        "Mounts": [_mount(stack, each, config) for each in given.get("volumes") or []] or None,
        "Healthcheck": _health(given.get("healthcheck")),
        "Ulimits": _ulimits(given.get("ulimits") or {}),
        "Secrets": _files(name, given.get("secrets"), "Secret", ids["secrets"]),
        "Configs": _files(name, given.get("configs"), "Config", ids["configs"]),
    }
    if given.get("stop_grace_period") is not None:
        container["StopGracePeriod"] = duration(str(given["stop_grace_period"]))
    found: Body = {
        "Name": f"{stack}_{name}",
        "Labels": {**pairs(deploy.get("labels")), NAMESPACE: stack, "com.docker.stack.image": given["image"]},
        "TaskTemplate": {"ContainerSpec": {key: value for key, value in container.items() if value is not None}},
    }
    _template(found, given, deploy, name, ids["networks"])
    _deployed(found, given, deploy)
    return found


def _template(found: Body, given: Body, deploy: Body, name: str, networks: Body) -> None:
    template = found["TaskTemplate"]
    wanted = given.get("networks") or ["default"]
    options = wanted if isinstance(wanted, dict) else dict.fromkeys(wanted)
    for each in options:
        if each not in networks:
            raise UsageError(f'undefined network "{each}"')
    template["Networks"] = [
        {"Target": networks[each], "Aliases": [name, *((said or {}).get("aliases") or [])]}
        for each, said in options.items()
    ]
    logging = given.get("logging")
    if logging:
        template["LogDriver"] = {"Name": logging.get("driver", ""), "Options": pairs(logging.get("options"))}
    resources = deploy.get("resources") or {}
    template["Resources"] = {
        word: _amounts(resources[key])
        for word, key in (("Limits", "limits"), ("Reservations", "reservations"))
        if resources.get(key)
    }
    placement = deploy.get("placement") or {}
    spread = [{"Spread": {"SpreadDescriptor": each["spread"]}} for each in placement.get("preferences") or []]
    said = {
        "Constraints": placement.get("constraints"),
        "Preferences": spread,
        "MaxReplicas": placement.get("max_replicas_per_node"),
    }
    template["Placement"] = {word: each for word, each in said.items() if each}
    policy = deploy.get("restart_policy")
    if policy:
        template["RestartPolicy"] = _renamed(policy, {"condition": "Condition", "delay": "Delay", "window": "Window",
                                                      "max_attempts": "MaxAttempts"})  # fmt: skip


def _deployed(found: Body, given: Body, deploy: Body) -> None:
    known = ("mode", "replicas", "labels", "endpoint_mode", "placement", "resources", "restart_policy", "update_config",
             "rollback_config")  # fmt: skip
    for key in deploy:
        if key not in known:
            raise UsageError(f"deploy: Additional property {key} is not allowed")
    mode, replicas = deploy.get("mode", "replicated"), deploy.get("replicas")
    if mode not in ("replicated", "global", "replicated-job", "global-job"):
        raise UsageError(f"Unknown mode: {mode}")
    if mode.startswith("global") and replicas is not None:
        raise UsageError("replicas can only be used with replicated or replicated-job mode")
    number = 1 if replicas is None else int(replicas)
    found["Mode"] = {
        "replicated": {"Replicated": {"Replicas": number}},
        "replicated-job": {"ReplicatedJob": {"TotalCompletions": number, "MaxConcurrent": number}},
        "global": {"Global": {}},
        "global-job": {"GlobalJob": {}},
    }[mode]
    rolling = {"parallelism": "Parallelism", "delay": "Delay", "failure_action": "FailureAction", "monitor": "Monitor",
               "max_failure_ratio": "MaxFailureRatio", "order": "Order"}  # fmt: skip
    for key, word in (("update_config", "UpdateConfig"), ("rollback_config", "RollbackConfig")):
        if deploy.get(key) is not None:
            found[word] = {"Parallelism": 1, **_renamed(deploy[key], rolling)}
    ports = [one for each in given.get("ports") or [] for one in _ports(each)]
    found["EndpointSpec"] = {"Mode": deploy.get("endpoint_mode") or "vip", **({"Ports": ports} if ports else {})}


# Values


def pairs(given: Any) -> dict[str, str]:  # noqa: ANN401 - YAML
    """`{a: b}` or `["a=b"]`."""
    if isinstance(given, dict):
        return {str(key): _plain(value) for key, value in given.items()}
    return dict(str(each).partition("=")[::2] for each in given or [])


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def command_words(given: Any) -> list[str] | None:  # noqa: ANN401 - YAML
    if given is None:
        return None
    return shlex.split(given) if isinstance(given, str) else [str(each) for each in given]


def _environment(given: Body) -> list[str] | None:
    from .parse_env import environment

    files = given.get("env_file") or []
    said = given.get("environment") or {}
    if isinstance(said, dict):
        words = [str(key) if value is None else f"{key}={_plain(value)}" for key, value in said.items()]
    else:
        words = [str(each) for each in said]
    found = environment([files] if isinstance(files, str) else files, words)
    return [each for each in found if "=" in each or each in os.environ] or None


def _hosts(given: Any) -> list[str] | None:  # noqa: ANN401 - YAML
    if isinstance(given, dict):
        return [f"{address} {name}" for name, address in given.items()] or None
    return [" ".join(reversed(str(each).split(":", 1))) for each in given or []] or None


def _dns(given: Body) -> Body | None:
    found = {}
    for word, key in (("Nameservers", "dns"), ("Search", "dns_search")):
        said = given.get(key)
        if said:
            found[word] = [said] if isinstance(said, str) else list(said)
    return found or None


def _health(given: Body | None) -> Body | None:
    if not given:
        return None
    if given.get("disable"):
        return {"Test": ["NONE"]}
    found: Body = {}
    test = given.get("test")
    if test is not None:
        found["Test"] = ["CMD-SHELL", test] if isinstance(test, str) else list(test)
    names = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod"}
    found.update({word: duration(str(given[key])) for key, word in names.items() if key in given})
    return {**found, "Retries": int(given["retries"])} if "retries" in given else found


def _ulimits(given: Body) -> list[Body] | None:
    return [
        {"Name": name, "Soft": each["soft"], "Hard": each["hard"]} if isinstance(each, dict)
        else {"Name": name, "Soft": int(each), "Hard": int(each)}
        for name, each in given.items()
    ] or None  # fmt: skip


def _files(service: str, given: list[Any] | None, kind: str, ids: Body) -> list[Body] | None:
    found = []
    for each in given or []:
        said = {"source": each} if isinstance(each, str) else each
        source = str(said["source"])
        if source not in ids:
            raise UsageError(f'service {service}: undefined {kind.lower()} "{source}"')
        target = said.get("target") or (source if kind == "Secret" else f"/{source}")
        mode = said.get("mode", 0o444)
        file = {"Name": target, "UID": str(said.get("uid", "0")), "GID": str(said.get("gid", "0")),
                "Mode": int(mode, 8) if isinstance(mode, str) else mode}  # fmt: skip
        found.append({"File": file, f"{kind}ID": ids[source]["ID"], f"{kind}Name": ids[source]["Name"]})
    return found or None


def _mount(stack: str, given: Any, config: Body) -> Body:  # noqa: ANN401 - YAML
    """`data:/var/lib`, `./here:/there:ro`, or the long form."""
    if isinstance(given, str):
        source, target, *rest = [*given.split(":"), ""] if ":" in given else ["", given, ""]
        given = {"source": source, "target": target, "read_only": "ro" in rest[0].split(",")}
        given["type"] = "bind" if source[:1] in ("/", ".", "~") else "volume"
    found: Body = {"Type": given.get("type", "volume"), "Target": given["target"], "Source": given.get("source", "")}
    if given.get("read_only"):
        found["ReadOnly"] = True
    if found["Type"] == "bind":
        found["Source"] = os.path.abspath(Path(found["Source"]).expanduser())
    elif found["Type"] == "volume" and found["Source"]:
        return {**found, **_volume(stack, found["Source"], config.get("volumes") or {})}
    elif found["Type"] == "tmpfs":
        words = f"type=tmpfs,target={given['target']}"
        amount = (given.get("tmpfs") or {}).get("size")
        return mount(f"{words},tmpfs-size={amount}" if amount else words)
    return found


def _volume(stack: str, name: str, known: Body) -> Body:
    if name not in known:
        raise UsageError(f'undefined volume "{name}"')
    said = known[name] or {}
    if said.get("external"):
        return {"Source": said.get("name") or name}
    options: Body = {"Labels": {**pairs(said.get("labels")), NAMESPACE: stack}}
    if said.get("driver") or said.get("driver_opts"):
        options["DriverConfig"] = {"Name": said.get("driver", "local"), "Options": pairs(said.get("driver_opts"))}
    return {"Source": said.get("name") or f"{stack}_{name}", "VolumeOptions": options}


def _ports(given: Any) -> list[Body]:  # noqa: ANN401 - YAML
    if not isinstance(given, dict):
        return ports_of(str(given))
    return [{
        "TargetPort": int(given["target"]),
        "PublishedPort": int(given.get("published") or 0),
        "Protocol": given.get("protocol", "tcp"),
        "PublishMode": given.get("mode", "ingress"),
    }]  # fmt: skip


def _amounts(given: Body) -> Body:
    found: Body = {}
    for key, value in given.items():
        if key == "cpus":
            found["NanoCPUs"] = cpus(str(value))
        elif key == "memory":
            found["MemoryBytes"] = size(str(value))
        elif key == "pids":
            found["Pids"] = int(value)
        else:
            raise UsageError(f"deploy.resources: {key} is not supported by this version of minidock")
    return found


def _renamed(given: Body, names: dict[str, str]) -> Body:
    found: Body = {}
    for key, value in given.items():
        if key not in names:
            raise UsageError(f"Additional property {key} is not allowed")
        found[names[key]] = duration(str(value)) if key in SECONDS else value
    return found
