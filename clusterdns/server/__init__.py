"""The process: sockets, dispatch, the assembly of a configuration, reload, life cycle."""
