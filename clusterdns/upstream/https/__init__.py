"""Exchanges over HTTPS (RFC 8484): one request per question, over HTTP/2 where the upstream speaks it, else HTTP/1.1.

Reading order: `exchanges` makes the requests, `http2` and `http1` send them, `response` reads what comes back.
"""

from clusterdns.upstream.https.exchanges import HttpsExchanges

__all__ = ["HttpsExchanges"]
