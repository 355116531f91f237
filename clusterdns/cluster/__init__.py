"""Kubernetes: its objects, the index of their names, and the two sources of objects, `api` and `manifests`."""
