"""Explanations by a running configuration: upstreams, the cache, and a cluster whose state is not known."""

import asyncio
from pathlib import Path

import pytest
from fakes.held_clock import HeldClock, turns, until
from plugins.api_outage import Outage, begin_noticed
from plugins.serving import running

from clusterdns.plugins.forward.exports import ForwardExports
from clusterdns.server.explaining.engine import Explainer, ExplainRequest
from clusterdns.server.explaining.explanation import Explanation
from clusterdns.server.instance import Instance
from testing.fake_apiserver import unused_port
from testing.upstream.scripted import ScriptedUpstream


async def explain(instance: Instance, name: str, qtype: str = "A", **others: str) -> Explanation:
    return await Explainer(instance.configuration).explain(ExplainRequest(name, qtype, **others))


@pytest.mark.parametrize(
    ("name", "begins", "names", "outcome"),
    [
        ("www.example.org", "resolves: ", "from the upstream 127.0.0.1:", "resolves"),
        ("x.nxdomain.example.org", "NXDOMAIN: 127.0.0.1:", "says that x.nxdomain.example.org. does not exist", ""),
        ("x.nodata.example.org", "NODATA: 127.0.0.1:", "has no A record", ""),
        ("x.servfail.ede-22.example.org", "SERVFAIL: 127.0.0.1:", "it says: 22 (No Reachable Authority)", ""),
        ("x.referral.example.org", "NODATA: 127.0.0.1:", "it does not recurse", ""),
        ("x.refused.example.org", "REFUSED: 127.0.0.1:", "ask it yourself: dig @127.0.0.1 -p ", ""),
        ("x.tc.close.example.org", "truncated: the reply of 127.0.0.1:", "it does not answer over TCP", ""),
        ("x.many-99.example.org", "resolves: 99 records", "do not fit into UDP: clients ask again over", "resolves"),
    ],
)  # fmt: skip
async def test_what_an_upstream_does_is_named(tmp_path: Path, name: str, begins: str, names: str, outcome: str) -> None:
    with ScriptedUpstream() as upstream:
        lines = f"forward . {upstream.address} {{\n max_connect_attempts 1\n}}"
        async with running(lines, tmp_path) as server:
            found = await explain(server.instance, name)
    assert found.verdict.line.startswith(begins)
    assert names in found.verdict.line
    assert found.verdict.outcome == (outcome or "does not resolve")
    assert found.attempts
    assert all(one.upstream == upstream.address and one.seconds >= 0 for one in found.attempts)


async def test_a_dead_upstream_and_the_next_one_are_shown_with_their_times(tmp_path: Path) -> None:
    with unused_port() as bound, ScriptedUpstream() as upstream:
        dead = f"127.0.0.1:{bound.getsockname()[1]}"
        bound.close()
        async with running(f"forward . {dead} {upstream.address} {{\n policy sequential\n}}", tmp_path) as server:
            found = await explain(server.instance, "www.example.org")
    assert [one.upstream for one in found.attempts] == [dead, upstream.address]
    assert "connection refused" in found.attempts[0].outcome
    assert found.attempts[1].outcome == "NOERROR"
    assert found.verdict.outcome == "resolves"


async def test_no_upstream_that_answers(tmp_path: Path) -> None:
    with unused_port() as bound:
        dead = f"127.0.0.1:{bound.getsockname()[1]}"
    async with running(f"forward . {dead} {{\n max_connect_attempts 1\n}}", tmp_path) as server:
        found = await explain(server.instance, "www.example.org")
    assert found.verdict.line.startswith(f"SERVFAIL: no upstream answered: {dead} (connection refused)")
    assert "'forward' at Corefile:3" in found.verdict.line
    assert found.verdict.cause == "upstreams-down"


async def test_an_upstream_that_leads_back(tmp_path: Path) -> None:
    with ScriptedUpstream() as upstream:
        async with running(f"forward . {upstream.address}", tmp_path) as server:
            exports = next(server.instance.configuration.exports(ForwardExports))
            exports.upstreams[0][1].is_looping = True
            found = await explain(server.instance, "www.example.org")
    assert found.verdict.cause == "forwarding-loop"
    assert f"{upstream.address} (loops)" in found.verdict.line
    assert not upstream.count()


async def test_an_upstream_that_is_this_server_itself(tmp_path: Path) -> None:
    async with running("forward . 127.0.0.1:5353 {\n max_connect_attempts 1\n}", tmp_path) as server:
        found = await explain(server.instance, "www.example.org")
    assert found.verdict.cause == "forwarding-loop"
    assert "127.0.0.1:5353 is its own address" in found.verdict.line


async def test_a_cached_negative_answer_says_how_long_it_stays(tmp_path: Path) -> None:
    with ScriptedUpstream() as upstream:
        async with running(f"cache 30\nforward . {upstream.address}", tmp_path) as server:
            first = await explain(server.instance, "x.nxdomain.ttl-20.example.org")
            second = await explain(server.instance, "x.nxdomain.ttl-20.example.org")
    assert (first.verdict.cause, second.verdict.cause) == ("upstream-negative", "cached-negative")
    assert "the cache holds a negative reply, 0 s old, for 20 s more" in second.verdict.line
    assert second.cached.startswith("the cache holds a negative reply")
    assert "answered from the cache" in second.cached
    assert "asked anew" in first.cached
    assert upstream.count("x.nxdomain.ttl-20.example.org") == 1


async def test_an_explanation_that_waits_uses_the_question_under_way(tmp_path: Path) -> None:
    with ScriptedUpstream() as upstream:
        async with running(f"forward . {upstream.address}", tmp_path) as server:
            asked = asyncio.ensure_future(explain(server.instance, "x.held.example.org"))
            await until(lambda: bool(upstream.count("x.held.example.org")))
            second = asyncio.ensure_future(explain(server.instance, "x.held.example.org"))
            await turns(50)
            upstream.release()
            found, joined = await asked, await second
    assert found.verdict.outcome == "resolves"
    assert (len(found.attempts), len(joined.attempts)) == (1, 0)
    assert joined.verdict.outcome == "resolves"
    assert upstream.count("x.held.example.org", "A") == 1


async def test_names_outside_the_cluster_walk_the_search_list_first(outage: Outage, tmp_path: Path) -> None:
    with ScriptedUpstream() as upstream:
        lines = f"kubernetes cluster.local {{\n endpoint {outage.url}\n}}\nforward . {upstream.address}"
        async with running(lines, tmp_path) as server:
            found = await explain(server.instance, "www.example.org", asked_from="prod")
            full = await explain(server.instance, "www.example.org.", asked_from="prod")
    assert (found.verdict.outcome, found.verdict.cause) == ("resolves", "ndots")
    assert [one.outcome for one in found.attempts] == ["NOERROR"]
    assert "3 names of the search list are tried first (ndots:5): write www.example.org. with" in found.verdict.line
    assert [step.effect for step in found.walks[0].steps] == ["tries the next name"] * 3 + ["found"]
    assert (full.verdict.cause, len(full.walks[0].steps)) == ("resolves", 1)


async def test_the_state_of_a_snapshot_is_as_last_known(outage: Outage, held_clock: HeldClock, tmp_path: Path) -> None:
    lines = f"kubernetes cluster.local {{\n endpoint {outage.url}\n snapshot {tmp_path}\n startup_timeout 0s\n}}"
    async with running(lines, tmp_path) as server:
        await until(lambda: not server.instance.unready())
        await server.instance.drain()
    await outage.begin()
    async with running(lines, tmp_path) as server:
        known = await explain(server.instance, "web.prod.svc.cluster.local")
        missing = await explain(server.instance, "wbe.prod.svc.cluster.local")
    assert (known.verdict.outcome, known.verdict.cause) == ("resolves", "stale")
    assert "as last known: answering from the snapshot of " in known.verdict.line
    assert (missing.verdict.outcome, missing.verdict.cause) == ("unknown", "not-current")
    assert "answering from the snapshot of " in missing.verdict.line


async def test_a_missing_name_of_the_cluster_that_an_upstream_denies_too(outage: Outage, tmp_path: Path) -> None:
    with ScriptedUpstream() as upstream:
        lines = f"kubernetes cluster.local {{\n endpoint {outage.url}\n fallthrough\n}}\nforward . {upstream.address}"
        async with running(lines, tmp_path) as server:
            found = await explain(server.instance, "nxdomain.prod.svc.cluster.local")
    assert found.verdict.line.startswith('NXDOMAIN: Service "nxdomain" does not exist in namespace "prod"')
    assert upstream.count("nxdomain.prod.svc.cluster.local") == 1


async def test_a_cluster_that_is_not_read_yet_says_so(outage: Outage, tmp_path: Path) -> None:
    await outage.begin()
    lines = f"kubernetes cluster.local {{\n endpoint {outage.url}\n startup_timeout 0s\n}}"
    async with running(lines, tmp_path) as server:
        found = await explain(server.instance, "web.prod.svc.cluster.local")
    assert (found.verdict.outcome, found.verdict.cause) == ("unknown", "not-current")
    assert found.verdict.line.startswith("SERVFAIL: cannot tell whether web.prod.svc.cluster.local. exists: ")


async def test_a_stale_cluster_cannot_say_what_exists(outage: Outage, held_clock: HeldClock, tmp_path: Path) -> None:
    lines = f"kubernetes cluster.local {{\n endpoint {outage.url}\n}}"
    async with running(lines, tmp_path) as server:
        known = await explain(server.instance, "web.prod.svc.cluster.local")
        assert known.verdict.outcome == "resolves"
        await begin_noticed(outage, server, held_clock)
        await held_clock.pass_seconds(12)
        missing = await explain(server.instance, "nope.prod.svc.cluster.local")
        stale = await explain(server.instance, "web.prod.svc.cluster.local")
    assert (missing.verdict.outcome, missing.verdict.cause) == ("unknown", "not-current")
    assert missing.verdict.line.startswith("SERVFAIL: cannot tell whether nope.prod.svc.cluster.local. exists")
    assert "connection refused" in missing.verdict.line
    assert (stale.verdict.outcome, stale.verdict.cause) == ("resolves", "stale")
    assert "as last known" in stale.verdict.line
