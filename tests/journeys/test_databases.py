"""Journeys 4 and 6: replica sets, whose members resolve each other by name and by address."""

import pytest
from journeys.clients import busybox_nslookup, dig, nslookup, until
from journeys.journey import Journey

SVC = "svc.cluster.local"
MONGODB = "mongodb-headless-service.infrastructure"
MYSQL = f"mysql-svc.default.{SVC}"

pytestmark = [pytest.mark.peer("dig"), pytest.mark.peer("busybox"), pytest.mark.peer("kube-apiserver")]


@pytest.mark.parametrize("name", [MONGODB, f"{MONGODB}.{SVC}", f"{MONGODB}.{SVC}."])
def test_short_and_full_names_of_a_headless_service_have_every_member(journey: Journey, name: str) -> None:
    """Journey 4: a client in another namespace resolves the name of its connection string."""
    pods = journey.pods(MONGODB, 3, "mongodb", "infrastructure")
    assert nslookup(journey.pod, name) == {f"{MONGODB}.{SVC}": pods}


@pytest.mark.parametrize("name", [f"{MONGODB}.{SVC}", f"_mongodb._tcp.{MONGODB}.{SVC}"])
def test_srv_of_a_replica_set_names_its_members(journey: Journey, name: str) -> None:
    """Journey 4: `mongodb+srv` finds the host of each member and its port, which is the pod's."""
    journey.pods(MONGODB, 3, "mongodb", "infrastructure")
    reply = dig(journey.pod, name, "SRV")
    assert set(reply.data) == {f"0 33 27017 mongodb-{ordinal}.{MONGODB}.{SVC}" for ordinal in range(3)}


def test_a_node_port_is_not_in_dns(journey: Journey) -> None:
    """Journey 4: `app1` with node port 30062 has its ClusterIP, and SRV its port 8080."""
    (name,) = nslookup(journey.pod, "app1")
    assert name == f"app1.default.{SVC}"
    assert dig(journey.pod, name, "SRV").data == [f"0 100 8080 {name}"]


def test_a_member_keeps_its_name_and_changes_its_address(journey: Journey) -> None:
    """Journey 6: `mysql-sts-0.mysql-svc` is one pod, then the pod that replaced it; the old address has no name."""
    journey.pods("mysql-svc", 3, "mysql-sts")
    member = f"mysql-sts-0.{MYSQL}"
    (before,) = nslookup(journey.pod, "mysql-sts-0.mysql-svc")[member]
    journey.cluster.replace_pod("StatefulSet", "mysql-sts", "default")
    (after,) = until(lambda: dig(journey.pod, member).data, lambda found: found not in ([], [before]))
    assert after in journey.pods("mysql-svc", 3, "mysql-sts")
    assert dig(journey.pod, "-x", after).data == [member]
    assert dig(journey.pod, "-x", before).status == "NXDOMAIN"
    assert dig(journey.pod, f"_mysql._tcp.{MYSQL}", "SRV").data.count(f"0 33 3306 {member}") == 1


def test_addresses_have_ptr_records(journey: Journey) -> None:
    """Journey 6: nslookup finds the names of each pod's address and of the server's."""
    journey.pods("mysql-svc", 3, "mysql-sts")
    for ordinal in range(3):
        member = f"mysql-sts-{ordinal}.{MYSQL}"
        (address,) = dig(journey.pod, member).data
        for ask in (nslookup, busybox_nslookup):
            assert list(ask(journey.pod, address).values()) == [{member}]
    for ask in (nslookup, busybox_nslookup):
        assert ask(journey.pod, "10.96.0.10") == {"10.0.96.10.in-addr.arpa": {f"kube-dns.kube-system.{SVC}"}}
