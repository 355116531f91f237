"""Log lines and metrics, with CoreDNS's names."""
