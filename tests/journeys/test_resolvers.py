"""The ways a question comes: the C library's search list, transports, message formats, address families."""

import pytest
from journeys.clients import dig, getent
from journeys.journey import Journey
from journeys.pod import SERVER, SERVER6

SVC = "svc.cluster.local"
MONGODB = "mongodb-headless-service.infrastructure"
NORMAL = f"normal-nginx.default.{SVC}"

pytestmark = [pytest.mark.peer("dig"), pytest.mark.peer("busybox"), pytest.mark.peer("kube-apiserver")]


def test_the_c_library_walks_the_search_list(journey: Journey) -> None:
    """getaddrinfo asks A and AAAA at once from one socket, per entry of the list; a denial of the first must not end
    the walk, nor NODATA for AAAA lose the A records."""
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
def test_every_way_of_asking_gives_the_same(
    journey: Journey, server: str, client: str, transport: str, edns: str
) -> None:
    """The reply leaves from the address that was asked, though routing would choose the client's own (dig takes no
    other); over the transport that the question came by, with OPT where it had one."""
    reply = dig(journey.pod, f"@{server}", "-b", client, transport, edns, NORMAL)
    assert (reply.server, reply.transport) == (server, "TCP" if transport == "+tcp" else "UDP")
    assert reply.has_edns == (edns != "+noedns")
    assert (reply.status, reply.flags) == ("NOERROR", frozenset({"qr", "aa", "rd"}))
    assert reply.records == dig(journey.pod, NORMAL).records


@pytest.mark.parametrize(("server", "client"), [("10.96.0.11", "127.0.0.1"), ("fd00:10:96::b", "::1")])
def test_an_address_that_comes_later_is_answered_from(journey: Journey, server: str, client: str) -> None:
    """The server has a socket for each address that it starts with; those that come later are not the poorer for it."""
    journey.pod.add_address(server)
    for transport in ("+notcp", "+tcp"):
        reply = dig(journey.pod, f"@{server}", "-b", client, transport, NORMAL)
        assert (reply.server, reply.status) == (server, "NOERROR")


def test_the_letters_case_comes_back(journey: Journey) -> None:
    """Resolvers that mix the case of what they ask look for it in the reply."""
    mixed = "NorMal-ngINX.deFault.svc.cluster.LOCAL"
    assert dig(journey.pod, mixed).dependencies == {mixed}


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
def test_what_is_not_there(journey: Journey, question: tuple[str, ...], status: str) -> None:
    """Nothing of that name, or nothing of that type: the difference decides whether a resolver goes on looking."""
    reply = dig(journey.pod, *question)
    assert (reply.status, reply.data) == (status, [])
