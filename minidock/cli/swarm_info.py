"""The swarm's part of `info`, as Docker's client tells it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SECOND = 1_000_000_000


def lines(swarm: dict[str, Any]) -> Iterator[str]:
    state = swarm["LocalNodeState"]
    yield f" Swarm: {state}"
    if state == "locked":
        return
    yield f"  NodeID: {swarm['NodeID']}"
    if swarm.get("Error"):
        yield f"  Error: {swarm['Error']}"
    yield f"  Is Manager: {str(swarm['ControlAvailable']).lower()}"
    if swarm["ControlAvailable"] and swarm.get("Cluster") and state != "error":
        yield from _cluster(swarm)
    yield f"  Node Address: {swarm['NodeAddr']}"
    if managers := sorted(one["Addr"] for one in swarm.get("RemoteManagers") or []):
        yield "  Manager Addresses:"
        yield from (f"   {address}" for address in managers)


def _cluster(swarm: dict[str, Any]) -> Iterator[str]:
    from ..engine.durations import human_duration

    cluster, spec = swarm["Cluster"], swarm["Cluster"]["Spec"]
    yield from (f"  ClusterID: {cluster['ID']}", f"  Managers: {swarm['Managers']}", f"  Nodes: {swarm['Nodes']}")
    if pools := cluster.get("DefaultAddrPool"):
        yield f"  Default Address Pool: {'  '.join(pools)}  "
        yield f"  SubnetSize: {cluster['SubnetSize']}"
    if port := cluster.get("DataPathPort"):
        yield f"  Data Path Port: {port}"
    yield "  Orchestration:"
    yield f"   Task History Retention Limit: {spec['Orchestration'].get('TaskHistoryRetentionLimit') or 0}"
    raft = spec["Raft"]
    yield from ("  Raft:", f"   Snapshot Interval: {raft['SnapshotInterval']}")
    yield f"   Number of Old Snapshots to Retain: {raft.get('KeepOldSnapshots') or 0}"
    yield from (f"   Heartbeat Tick: {raft['HeartbeatTick']}", f"   Election Tick: {raft['ElectionTick']}")
    yield "  Dispatcher:"
    yield f"   Heartbeat Period: {human_duration(spec['Dispatcher']['HeartbeatPeriod'] / SECOND)}"
    authority = spec["CAConfig"]
    yield from ("  CA Configuration:", f"   Expiry Duration: {human_duration(authority['NodeCertExpiry'] / SECOND)}")
    yield f"   Force Rotate: {authority.get('ForceRotate') or 0}"
    yield f"  Autolock Managers: {str(spec['EncryptionConfig']['AutoLockManagers']).lower()}"
    yield f"  Root Rotation In Progress: {str(cluster['RootRotationInProgress']).lower()}"
