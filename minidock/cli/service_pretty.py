"""service inspect --pretty: Docker's form of it, tabs and all (docker/cli command/service/formatter.go)."""

from __future__ import annotations

from typing import Any

from ..engine.durations import go_duration
from .services import MODES, mode_of

Body = dict[str, Any]


def pretty(service: Body) -> str:
    spec = service["Spec"]
    template, container = spec["TaskTemplate"], spec["TaskTemplate"]["ContainerSpec"]
    mode = mode_of(service)
    lines = ["", f"ID:\t\t{service['ID']}", f"Name:\t\t{spec['Name']}"]
    if spec.get("Labels"):
        lines += ["Labels:", *(f" {name}={value}" for name, value in sorted(spec["Labels"].items()))]
    lines.append(f"Service Mode:\t{MODES[mode].title()}")
    lines += [f" {name}:\t{value}" for name, value in spec["Mode"][mode].items()]
    lines += _status(service.get("UpdateStatus"))
    lines += ["Placement:", *_placement(template.get("Placement") or {})]
    if not mode.endswith("Job"):
        lines += _rolling("UpdateConfig", "Update", spec["UpdateConfig"])
        lines += _rolling("RollbackConfig", "Rollback", spec["RollbackConfig"])
    lines += _container(container)
    lines += _log_driver(template.get("LogDriver") or {})
    lines += _resources(template.get("Resources") or {})
    networks = template.get("Networks") or spec.get("Networks") or []
    if networks:
        lines.append(f"Networks: {' '.join(each['Target'] for each in networks)} ")
    endpoint = service.get("Endpoint") or {}
    lines.append(f"Endpoint Mode:\t{(endpoint.get('Spec') or {}).get('Mode', '')}")
    lines += _ports(endpoint.get("Ports") or [])
    return "\n".join([*lines, *_health(container.get("Healthcheck") or {}), ""]) + "\n"


def _status(status: Body | None) -> list[str]:
    if not status:
        return []
    lines = ["UpdateStatus:", f" State:\t\t{status['State']}"]
    if status.get("StartedAt"):
        lines.append(f" Started:\t{status['StartedAt']}")
    if status.get("CompletedAt"):
        lines.append(f" Completed:\t{status['CompletedAt']}")
    return [*lines, f" Message:\t{status.get('Message', '')}"]


def _placement(placement: Body) -> list[str]:
    lines = []
    if placement.get("Constraints"):
        lines.append(f" Constraints:\t[{' '.join(placement['Constraints'])}]")
    if placement.get("Preferences"):
        spread = [each["Spread"]["SpreadDescriptor"] for each in placement["Preferences"]]
        lines.append(f" Preferences:   [{' '.join(f'spread={each}' for each in spread)}]")
    if placement.get("MaxReplicas"):
        lines.append(f" Max Replicas Per Node:   {placement['MaxReplicas']}")
    return lines


def _rolling(title: str, word: str, config: Body) -> list[str]:
    lines = [f"{title}:", f" Parallelism:\t{config['Parallelism']}"]
    if config.get("Delay"):
        lines.append(f" Delay:\t\t{go_duration(config['Delay'])}")
    return [
        *lines,
        f" On failure:\t{config['FailureAction']}",
        f" Monitoring Period: {go_duration(config['Monitor'])}",
        f" Max failure ratio: {config['MaxFailureRatio']:g}",
        f" {word} order:{' ' * (11 - len(word))} {config['Order']}",
    ]


def _container(container: Body) -> list[str]:
    lines = ["ContainerSpec:", f" Image:\t\t{container['Image']}"]
    for title, name in (("Args", "Args"), ("Env", "Env")):
        if container.get(name):
            lines.append(f" {title}:\t\t{' '.join(container[name])} ")
    if container.get("Dir"):
        lines.append(f" Dir:\t\t{container['Dir']}")
    if container.get("Init") is not None:
        lines.append(f" Init:\t\t{str(container['Init']).lower()}")
    if container.get("User"):
        lines.append(f" User: {container['User']}")
    return [*lines, *_rights(container), *_files(container)]


def _rights(container: Body) -> list[str]:
    lines = []
    if container.get("CapabilityAdd") or container.get("CapabilityDrop"):
        lines.append("Capabilities:")
        for title in ("Add", "Drop"):
            if found := container.get(f"Capability{title}"):
                lines.append(f" {title}: {', '.join(found)}")
    if container.get("Sysctls"):
        lines += ["SysCtls:", *(f" {name}: {value}" for name, value in sorted(container["Sysctls"].items()))]
    if container.get("Ulimits"):
        lines += ["Ulimits:", *(f" {each['Name']}: {each['Soft']}:{each['Hard']}" for each in container["Ulimits"])]
    return lines


def _files(container: Body) -> list[str]:
    lines = []
    if container.get("Mounts"):
        lines.append("Mounts:")
        for mount in container["Mounts"]:
            read_only = str(bool(mount.get("ReadOnly"))).lower()
            lines += [f" Target:\t{mount['Target']}", f"  Source:\t{mount.get('Source', '')}"]
            lines += [f"  ReadOnly:\t{read_only}", f"  Type:\t\t{mount['Type']}"]
    for kind in ("Config", "Secret"):
        if container.get(f"{kind}s"):
            lines.append(f"{kind}s:")
            for each in container[f"{kind}s"]:
                lines += [f" Target:\t{each['File']['Name']}", f"  Source:\t{each[f'{kind}Name']}"]
    return lines


def _resources(resources: Body) -> list[str]:
    from .units import human_size

    lines = ["Resources:"]
    for title, name in (("Reservations", "Reservations"), ("Limits", "Limits")):
        part = resources.get(name) or {}
        if not any(part.values()):
            continue
        lines.append(f" {title}:")
        if part.get("NanoCPUs"):
            lines.append(f"  CPU:\t\t{part['NanoCPUs'] / 1e9:g}")
        if part.get("MemoryBytes"):
            lines.append(f"  Memory:\t{human_size(part['MemoryBytes'], digits=4, base=1024.0, binary=True)}")
    return lines


def _ports(ports: list[Body]) -> list[str]:
    if not ports:
        return []
    lines = ["Ports:"]
    for port in ports:
        lines += [f" PublishedPort = {port.get('PublishedPort', 0)}", f"  Protocol = {port['Protocol']}",
                  f"  TargetPort = {port['TargetPort']}", f"  PublishMode = {port['PublishMode']}"]  # fmt: skip
    return [*lines[:-1], f"{lines[-1]} "]


def _log_driver(driver: Body) -> list[str]:
    if not driver:
        return []
    lines = ["Log Driver:", *([f" Name:\t\t{driver['Name']}"] if driver.get("Name") else [])]
    if driver.get("Options"):
        lines += [" LogOpts:", *(f"  {name}:       {value}" for name, value in sorted(driver["Options"].items()))]
    return [*lines, ""]


def _health(check: Body) -> list[str]:
    if not check:
        return []
    tests = [f"\t Test = {word}" for word in check.get("Test") or []]
    return [
        " Healthcheck:",
        f"  Interval = {go_duration(check.get('Interval', 0))}",
        f"  Retries = {check.get('Retries', 0)}",
        f"  StartPeriod =\t{go_duration(check.get('StartPeriod', 0))}",
        f"  Timeout =\t{go_duration(check.get('Timeout', 0))}",
        *(["  Tests:", *tests[:-1], f"{tests[-1]} "] if tests else []),
    ]
