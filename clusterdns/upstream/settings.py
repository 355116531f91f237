"""The settings of exchanges with upstreams: one class per topic, filled by `forward` from its options."""

import ssl

import msgspec

from clusterdns.wire.name import ROOT


class TransportSettings(msgspec.Struct, frozen=True):
    """Settings of one exchange: the transport and the connections."""

    force_tcp: bool = False  # for plain DNS; health checks and probes included
    source: str = ""  # the local address; empty: the system's choice
    expire_seconds: float = 10.0  # how long an idle connection stays open
    max_age_seconds: float = 0.0  # the age at which a connection gets no more questions; 0: no limit
    max_idle: int = 0  # idle connections that stay open; 0: no limit
    https_method: str = "POST"
    tls: ssl.SSLContext | None = None  # None where no upstream is asked over TLS or HTTPS
    tls_http2: ssl.SSLContext | None = None  # the same with HTTP/2 in ALPN; None where no upstream is asked over HTTPS
    tls_server_name: str = ""  # the name that certificates must have; empty: the upstream's address


class HealthCheckSettings(msgspec.Struct, frozen=True):
    """Settings of the health checks that follow a failed exchange."""

    max_fails: int = 2  # more failed checks in a row mean that the upstream is down; 0: never checked, never down
    interval_seconds: float = 0.5
    name: bytes = ROOT  # whose NS records are asked for
    recurses: bool = True  # RD is set


class PoolSettings(msgspec.Struct, frozen=True):
    """Settings of a pool: how a question goes from one upstream to the next."""

    policy: str = "random"  # a key of `pool.POLICIES`
    read_seconds: float = 2.0  # for one exchange
    max_attempts: int | None = None  # exchanges of one question that may fail; None: twice the upstreams; 0: no limit
    failover: frozenset[int] = frozenset()  # response codes that send the question on to the next upstream
    fails_fast: bool = False  # fail at once, instead of asking any upstream, while all are down
