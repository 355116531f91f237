"""A program for a network namespace of its own: a source whose connections to the API server die in silence.

Packets to the server are dropped without an error, and after the source has noticed they pass again. Prints, as JSON,
the seconds until it notices, and from the end of the fault until it has connected again.
"""

import asyncio
import json
import socket
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path

from clusterdns.cluster.api.settings import ApiSettings, ClientTls
from clusterdns.cluster.api.source import ApiSource
from clusterdns.telemetry.metrics import Registry
from testing import packet_loss
from testing.fake_apiserver import FakeApiServer, serving

SERVER = "10.9.0.2"


async def until(check: Callable[[], object], seconds: float = 30.0) -> float:
    """Wait until a condition holds; returns how long that took."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while not check():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return time.monotonic() - began


async def run(folder: Path) -> dict[str, float]:
    """Run the fault on TLS connections, whose certificates are in the folder."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(folder / "server.crt", folder / "server.key")
    bound = socket.socket()
    bound.bind((SERVER, 0))
    async with serving(FakeApiServer(), tls, bound) as api:
        api.streams_lists = True
        url = f"https://{SERVER}:{bound.getsockname()[1]}"
        client = ClientTls(*(str(folder / name) for name in ("server.crt", "server.key", "ca.crt")))
        source = ApiSource(
            ApiSettings(endpoint=url, tls=client, endpoints=False), lambda _: None, lambda: None, Registry()
        )
        source.start()
        await until(lambda: source.synced)
        watches = len(api.requests)
        await asyncio.sleep(1.0)  # the connections are idle when they die
        with packet_loss.dropped([("to", SERVER)]):
            noticed = await until(lambda: source.reason)
        reconnected = await until(lambda: len(api.requests) > watches)
        await source.stop()
    return {"noticed": noticed, "reconnected": reconnected}


if __name__ == "__main__":
    packet_loss.prepare(SERVER)
    print(json.dumps(asyncio.run(run(Path(sys.argv[1])))))
