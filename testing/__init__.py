"""Servers, clients and fakes that tests and benchmarks share; the product does not contain them."""
