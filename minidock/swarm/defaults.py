"""What a service does where its specification says nothing: `service inspect`'s ?insertDefaults=true."""

from __future__ import annotations

from minidock.swarm import members
from minidock.swarm.objects import Body

SECOND = 1_000_000_000
UPDATE: Body = {
    "Parallelism": 1,
    "FailureAction": "pause",
    "Monitor": 5 * SECOND,
    "MaxFailureRatio": 0,
    "Order": "stop-first",
}


def inserted(spec: Body) -> Body:
    template = spec["TaskTemplate"]
    container = template["ContainerSpec"]
    restart = template.get("RestartPolicy") or {"Condition": "any", "MaxAttempts": 0}
    found: Body = members.ordered({
        **spec,
        "TaskTemplate": {
            **template,
            "ContainerSpec": {"StopGracePeriod": 10 * SECOND, "DNSConfig": {}, **container},
            "Resources": template.get("Resources") or {"Limits": {}, "Reservations": {}},
            "RestartPolicy": {"Delay": 5 * SECOND, **restart},
            "Placement": template.get("Placement") or {},
        },
        **{name: {**({"Monitor": 5 * SECOND} if spec.get(name) else UPDATE), **(spec.get(name) or {})}
           for name in ("UpdateConfig", "RollbackConfig")},
    })  # fmt: skip
    return found
