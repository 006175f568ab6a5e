"""Names of members in a service's JSON, as Go reads them: in whatever case they come, and nothing for a null.

docker-py sends `{"Mode": {"replicated": {"Replicas": 2}}}` and `{"RollbackConfig": {"order": "start-first"}}`.
"""

from __future__ import annotations

from typing import Any

NAMES = """
    Name NoCopy SizeBytes Image Labels TaskTemplate UID GID Mode UpdateConfig RollbackConfig
    Replicated Global ReplicatedJob GlobalJob Replicas MaxConcurrent TotalCompletions Parallelism Condition Delay
    FailureAction Monitor MaxFailureRatio Order MaxAttempts Window
    ContainerSpec PluginSpec NetworkAttachmentSpec Resources RestartPolicy Placement Networks LogDriver ForceUpdate
    EndpointSpec Command Args Hostname Env Dir Disable User Groups Privileges CredentialSpec Config File Registry
    SELinuxContext Role Type Level Seccomp AppArmor NoNewPrivileges Profile Runtime
    Init StopSignal TTY OpenStdin Source Target ReadOnly Consistency Mounts StopGracePeriod Healthcheck Hosts DNSConfig
    Secrets Configs Isolation Sysctls CapabilityAdd CapabilityDrop Ulimits OomScoreAdj
    BindOptions VolumeOptions TmpfsOptions Propagation NonRecursive CreateMountpoint ReadOnlyNonRecursive
    ReadOnlyForceRecursive Subpath DriverConfig Nameservers Search Options Test Interval Timeout StartPeriod
    StartInterval Retries SecretID SecretName ConfigID ConfigName Hard Soft Limits Reservations NanoCPUs MemoryBytes
    Pids GenericResources NamedResourceSpec DiscreteResourceSpec Kind Value Constraints Preferences Spread
    SpreadDescriptor MaxReplicas Platforms Architecture OS Aliases DriverOpts Ports Protocol TargetPort PublishedPort
    PublishMode
"""
"""In an order that holds in each of Docker's structures (moby api/types/swarm): so its JSON comes out."""
KNOWN = {name.lower(): name for name in NAMES.split()}
PLACES = {name: number for number, name in enumerate(NAMES.split())}
MAPS = ("Labels", "Sysctls", "DriverOpts")
"""What is in these has names of the user's."""


def spelled(value: Any) -> Any:  # noqa: ANN401 - JSON
    """As Docker spells them. Names that nobody knows stay, and mean nothing."""
    if isinstance(value, list):
        return [spelled(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for given, each in value.items():
        name = KNOWN.get(str(given).lower(), given)
        if each is not None:
            found[name] = each if _is_free(name, each) else spelled(each)
    return found


def ordered(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Members where Docker's structures have them, names of the user's by the alphabet, as Go writes both."""
    if isinstance(value, list):
        return [ordered(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: dict(sorted(value[name].items())) if _is_free(name, value[name]) else ordered(value[name])
        for name in sorted(value, key=lambda name: PLACES.get(name, len(PLACES)))
    }


def _is_free(name: object, value: object) -> bool:
    return isinstance(value, dict) and name in (*MAPS, "Options")
