"""Why a pod is not ready, in one clause, from its status: what the kubelet says, the most specific reason first."""

from collections.abc import Iterator

from clusterdns.cluster.details.structs import RawContainerStatus, RawPodObject, RawPodStatusDetails

_ENDED = ("Succeeded", "Failed")


def addresses_of(pod: RawPodObject) -> list[str]:
    """Return the addresses of a pod as its status has them."""
    status = pod.status or RawPodStatusDetails()
    return [one.ip for one in status.pod_ips or () if one.ip] or ([status.pod_ip] if status.pod_ip else [])


def is_ready(pod: RawPodObject) -> bool:
    """Return whether the pod's condition Ready is true; a pod without that condition counts as ready."""
    conditions = pod.status.conditions if pod.status is not None else None
    found = [one.status for one in conditions or () if one.type == "Ready"]
    return not found or found[-1] == "True"


def why_not_ready(pod: RawPodObject) -> str:
    """Return the reason why a pod is no ready endpoint; empty where nothing says so."""
    return next(_reasons(pod), "")


def _reasons(pod: RawPodObject) -> Iterator[str]:
    status = pod.status or RawPodStatusDetails()
    name = pod.metadata.name
    if pod.metadata.deletion_timestamp:
        yield f"{name} is terminating"
    if status.phase in _ENDED:
        yield f"{name} has ended: {status.reason or status.phase}"
    for one in (*(status.init_container_statuses or ()), *(status.container_statuses or ())):
        reason = _stopped(one)
        if reason:
            yield f"container {one.name} of {name}: {reason}"
    if status.phase == "Pending" or not addresses_of(pod):
        yield f"{name} is {_pending(status)}"
    yield from _unready(pod, status, name)


def _stopped(container: RawContainerStatus) -> str:
    """Return why a container does not run; empty where it runs, or has ended as it should."""
    state = container.state
    if state is None:
        return ""
    if state.waiting is not None:
        return state.waiting.reason or "waiting"
    if state.terminated is not None and state.terminated.reason != "Completed":
        return state.terminated.reason or "terminated"
    return ""


def _pending(status: RawPodStatusDetails) -> str:
    for one in status.conditions or ():
        if one.type == "PodScheduled" and one.status == "False":
            return f"not scheduled: {one.message or one.reason or 'no reason given'}"
    return f"{status.phase or 'without status'} and has no address"


def _unready(pod: RawPodObject, status: RawPodStatusDetails, name: str) -> Iterator[str]:
    """Yield why a pod whose containers run is not ready: probes, then readiness gates, then the condition itself."""
    if is_ready(pod):
        return
    containers = (pod.spec.containers if pod.spec is not None else None) or []
    probed = [one.name for one in containers if one.readiness_probe is not None]
    ready = {one.name: one.ready for one in status.container_statuses or ()}
    failing = [one for one in probed if not ready.get(one)]
    if failing:
        of_container = f"container {failing[0]} of " if len(containers) > 1 else ""
        yield f"readiness probe of {of_container}{name} fails"
    gates = [gate.get("conditionType") for gate in (pod.spec.readiness_gates if pod.spec is not None else None) or ()]
    met = {one.type for one in status.conditions or () if one.status == "True"}
    for gate in gates:
        if gate not in met:
            yield f"readiness gate {gate} of {name} is not met"
    condition = next((one for one in status.conditions or () if one.type == "Ready"), None)
    why = (condition.message or condition.reason) if condition is not None else ""
    yield f"{name} is not ready" + (f": {why}" if why else "")
