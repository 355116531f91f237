"""The process: listeners, dispatch, the assembly of a configuration, reload, life cycle.

Reading order: `listeners` (sockets), `dispatch` and `routes` (a query); `assembly`, `folding`, `listen_points` and
`shared` (a configuration); `instance` and `reloading` (its life), `memory` and `lastgood`; `run` (the process).
"""
