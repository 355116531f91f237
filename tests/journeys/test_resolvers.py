"""The variants of a query: the C library's search list, transports, EDNS, address families, case."""

import pytest
from journeys.clients import dig, getent
from journeys.journey import Journey
from journeys.pod import SERVER, SERVER6

SVC = "svc.cluster.local"
MONGODB = "mongodb-headless-service.infrastructure"
NORMAL = f"normal-nginx.default.{SVC}"

pytestmark = [pytest.mark.peer("dig"), pytest.mark.peer("busybox"), pytest.mark.peer("kube-apiserver")]


def test_the_c_library_walks_the_search_list(journey: Journey) -> None:
    """getaddrinfo asks A and AAAA at once for each entry of the search list.

    NXDOMAIN for the first entry does not end the search, and NODATA for AAAA does not lose the A records.
    """
    assert getent(journey.pod, MONGODB) == journey.pods(MONGODB, 3, "mongodb", "infrastructure")
    assert getent(journey.pod, "normal-nginx") == set(dig(journey.pod, NORMAL).data)
    assert getent(journey.pod, "dual-nginx") == {
        *dig(journey.pod, f"dual-nginx.default.{SVC}", "A").data,
        *dig(journey.pod, f"dual-nginx.default.{SVC}", "AAAA").data,
    }
    assert getent(journey.pod, "nosuch.infrastructure.svc.cluster.local") == set()


@pytest.mark.parametrize(("server", "client"), [(SERVER, "127.0.0.1"), (SERVER6, "::1")])
@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
@pytest.mark.parametrize("edns", ["+noedns", "+edns=0", "+cookie"])
def test_transport_edns_and_family_do_not_change_the_answer(
    journey: Journey, server: str, client: str, transport: str, edns: str
) -> None:
    """The reply comes from the address that was asked, over the query's transport, with OPT if the query had one.

    Routing alone would choose the client's own address as source, and dig would drop the reply.
    """
    reply = dig(journey.pod, f"@{server}", "-b", client, transport, edns, NORMAL)
    assert (reply.server, reply.transport) == (server, "TCP" if transport == "+tcp" else "UDP")
    assert reply.has_edns == (edns != "+noedns")
    assert (reply.status, reply.flags) == ("NOERROR", frozenset({"qr", "aa", "rd"}))
    assert reply.records == dig(journey.pod, NORMAL).records


@pytest.mark.parametrize(("server", "client"), [("10.96.0.11", "127.0.0.1"), ("fd00:10:96::b", "::1")])
def test_an_address_that_is_added_later_is_served(journey: Journey, server: str, client: str) -> None:
    """The server has a socket for each address of its start; the wildcard socket serves later ones."""
    journey.pod.add_address(server)
    for transport in ("+notcp", "+tcp"):
        reply = dig(journey.pod, f"@{server}", "-b", client, transport, NORMAL)
        assert (reply.server, reply.status) == (server, "NOERROR")


def test_names_in_the_reply_have_the_case_of_the_question(journey: Journey) -> None:
    """Resolvers that use 0x20 compare the case."""
    mixed = "NorMal-ngINX.deFault.svc.cluster.LOCAL"
    assert dig(journey.pod, mixed).owner_names == {mixed}


@pytest.mark.parametrize(
    ("question", "status"),
    [
        ((f"nosuch.default.{SVC}",), "NXDOMAIN"),
        ((f"normal-nginx.nosuch.{SVC}",), "NXDOMAIN"),
        ((NORMAL, "AAAA"), "NOERROR"),
        (("default.svc.cluster.local",), "NOERROR"),
        (("-x", "10.244.255.254"), "NXDOMAIN"),
    ],
)
def test_missing_names_and_types(journey: Journey, question: tuple[str, ...], status: str) -> None:
    """NXDOMAIN for a missing name, NODATA for a missing type: a resolver continues its search only after NXDOMAIN."""
    reply = dig(journey.pod, *question)
    assert (reply.status, reply.data) == (status, [])
