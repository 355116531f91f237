"""Asking other DNS servers.

Reading order: `question` is what is asked; `flight` asks it once for all clients that wait; `pool` chooses the upstream
and goes on to the next after a failure; `server` is one upstream and its health; `datagram` and `exchange` (UDP),
`stream` (TCP, TLS) and `https` send questions and receive replies. Beside them: `address` and `resolving` find where
upstreams are, `settings` says how they are asked, `failure` why an exchange failed, and `messages` has the messages
that are not sent for a client.
"""
