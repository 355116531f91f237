"""Log lines and metrics, with CoreDNS's names.

Reading order: `logs`; `metrics` (counters, gauges, histograms and their registry), `queries` (metrics of DNS queries),
`unlabelled` (metrics that CoreDNS shows even while their plugin is unused); `profiles` (texts that `pprof` serves).
"""
