"""HTTP for operators: /health, /ready, /metrics."""
