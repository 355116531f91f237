"""What the connections of all TCP listeners of the process may hold together.

`host.admission` decides which connection is evicted for a new one; `connection_table` has those of one listener.
"""

from collections import OrderedDict

from clusterdns.host.admission import Admission, ClientConnection, ConnectionLimits

MAX_HELD_BYTES = 8 << 20  # of unfinished queries, of all connections
MAX_ALL_WAITING = 10_000  # queries of all connections that wait for a handler; beyond, a query is dropped, as over UDP
MAX_STALLED = 128  # connections whose clients do not read their replies


class ConnectionBudget:
    """What the connections of all TCP listeners hold together."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.admission = Admission(limits)
        self.held_bytes = 0  # received and not answered yet
        self.waiting_count = 0  # queries and transfers that wait
        self.stalled: OrderedDict[ClientConnection, None] = OrderedDict()  # the one stalled for longest first

    def stall(self, connection: ClientConnection) -> None:
        """Note a client that does not read its replies; above MAX_STALLED the one that stalled first is closed."""
        self.stalled[connection] = None
        if len(self.stalled) > MAX_STALLED:
            oldest = next(iter(self.stalled))
            del self.stalled[oldest]
            oldest.abort()
