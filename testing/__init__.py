"""What tests and benchmarks share. It imports neither of them, and the product does not contain it.

Running servers: `peers` finds programs, `ports` gives them addresses, `process` starts, measures and stops them,
`waiting` waits, `limits` puts them into control groups, `certificates` gives them TLS.
Kubernetes: `controlplane` is a real one, `api` its client, `kubeconfig` its credentials, `api_proxy` and `tcp_relay`
break the way to it, with the faults of `api_faults` and `packet_loss`; `fake_apiserver` replies from a script.
DNS: `dns_client` asks a server, `upstream` is asked by one. `loop_thread` runs an event loop beside its caller.
"""
