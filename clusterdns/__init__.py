"""clusterdns: the DNS server of a Kubernetes cluster, a drop-in replacement for CoreDNS."""

__version__ = "0.1.0"
