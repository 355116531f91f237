"""The raw objects behind a name, for explanations: what the index does not keep of a Service, a slice or a pod.

`reader` says how objects are asked for; `from_api` asks an API server, `from_manifests` looks through manifests,
`structs` has the fields that explanations show, and `sources` chooses the reader.
"""
