"""The operating system, as the rest of the server uses it: sockets, interfaces, files, resource limits, TLS contexts.

Nothing here knows DNS, a Corefile or Kubernetes.
"""
