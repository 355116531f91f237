"""Manifest files as a source of objects: a simulation of the controllers that a cluster would run on them."""
