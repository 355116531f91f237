"""Why a pod is not ready, from its status."""

from typing import Any

import pytest

from clusterdns.cluster.details.structs import RawPodObject, read
from clusterdns.server.explaining.pods import is_ready, why_not_ready

PROBE = {"httpGet": {"path": "/"}}
UNREADY = {"type": "Ready", "status": "False"}


def pod(spec: dict[str, Any], status: dict[str, Any], **metadata: Any) -> RawPodObject:
    found, problem = read({"metadata": {"name": "db-0", **metadata}, "spec": spec, "status": status}, RawPodObject)
    assert found is not None, problem
    return found


RUNNING = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [UNREADY]}
TWO = {"containers": [{"name": "a", "readinessProbe": PROBE}, {"name": "b", "readinessProbe": PROBE}]}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pod({"containers": [{"name": "a", "readinessProbe": PROBE}]}, RUNNING), "readiness probe of db-0 fails"),
        (pod(TWO, {**RUNNING, "containerStatuses": [{"name": "a", "ready": True}, {"name": "b", "ready": False}]}),
         "readiness probe of container b of db-0 fails"),
        (pod({"readinessGates": [{"conditionType": "lb/x"}]}, RUNNING), "readiness gate lb/x of db-0 is not met"),
        (pod({}, {**RUNNING, "conditions": [{**UNREADY, "message": "why"}]}), "db-0 is not ready: why"),
        (pod({}, RUNNING), "db-0 is not ready"),
        (pod({}, RUNNING, deletionTimestamp="2026-01-01T00:00:00Z"), "db-0 is terminating"),
        (pod({}, {"phase": "Failed", "reason": "Evicted"}), "db-0 has ended: Evicted"),
        (pod({}, {"phase": "Succeeded"}), "db-0 has ended: Succeeded"),
        (pod({}, {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes fit"}]}),
         "db-0 is not scheduled: 0/3 nodes fit"),
        (pod({}, {"phase": "Pending"}), "db-0 is Pending and has no address"),
        (pod({}, {**RUNNING, "initContainerStatuses": [{"name": "i", "state": {"terminated": {"reason": "Error"}}}]}),
         "container i of db-0: Error"),
        (pod({}, {**RUNNING, "initContainerStatuses": [{"name": "i", "state": {"terminated": {"reason": "Completed"}}}],
                  "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ErrImagePull"}}}]}),
         "container c of db-0: ErrImagePull"),
        (pod({}, {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}), ""),
    ],
)  # fmt: skip
def test_the_most_specific_reason(found: RawPodObject, reason: str) -> None:
    assert why_not_ready(found) == reason


@pytest.mark.parametrize(
    ("conditions", "expected"), [([UNREADY], False), ([{**UNREADY, "status": "True"}], True), ([], True)]
)
def test_a_pod_without_the_condition_counts_as_ready(conditions: list[dict[str, str]], expected: bool) -> None:
    assert is_ready(pod({}, {"conditions": conditions})) is expected


def test_an_object_of_another_form_is_not_read() -> None:
    assert read({"metadata": {"name": 5}}, RawPodObject) == (None, "Expected `str`, got `int` - at `$.metadata.name`")
