"""Names of members in a service's JSON, as Go reads them: in whatever case they come, and nothing for a null.

docker-py sends `{"Mode": {"replicated": {"Replicas": 2}}}` and `{"RollbackConfig": {"order": "start-first"}}`.
"""

from __future__ import annotations

from typing import Any

NAMES = """
    Name Labels TaskTemplate Mode UpdateConfig RollbackConfig Networks EndpointSpec
    Replicated Global ReplicatedJob GlobalJob Replicas MaxConcurrent TotalCompletions
    Parallelism Delay FailureAction Monitor MaxFailureRatio Order
    Ports Protocol TargetPort PublishedPort PublishMode
    PluginSpec ContainerSpec NetworkAttachmentSpec Resources RestartPolicy Placement ForceUpdate Runtime LogDriver
    Image Command Args Env Dir User Groups Privileges TTY OpenStdin ReadOnly Mounts Healthcheck Hosts DNSConfig Secrets
    Configs Hostname StopSignal StopGracePeriod Init Isolation Sysctls CapabilityAdd CapabilityDrop Ulimits OomScoreAdj
    CredentialSpec Config File Registry SELinuxContext Disable Type Role Level Seccomp AppArmor NoNewPrivileges Profile
    Type Source Target Consistency BindOptions VolumeOptions TmpfsOptions Propagation NonRecursive CreateMountpoint
    ReadOnlyNonRecursive ReadOnlyForceRecursive NoCopy Subpath DriverConfig SizeBytes Options
    Test Interval Timeout Retries StartPeriod StartInterval
    Nameservers Search SecretID SecretName ConfigID ConfigName UID GID Hard Soft
    Limits Reservations NanoCPUs MemoryBytes Pids GenericResources NamedResourceSpec DiscreteResourceSpec Kind Value
    Condition MaxAttempts Window Constraints Preferences Spread SpreadDescriptor MaxReplicas Platforms Architecture OS
    Aliases DriverOpts
"""
KNOWN = {name.lower(): name for name in NAMES.split()}
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
            free = name in MAPS or (name == "Options" and isinstance(each, dict))
            found[name] = each if free else spelled(each)
    return found
