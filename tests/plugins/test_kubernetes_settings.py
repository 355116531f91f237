"""What the `kubernetes` directive means by its options where that is more than a word copied."""

import math
from collections.abc import Callable, Sequence

import pytest

from clusterdns.chain import BlockContext
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors, ErrorList
from clusterdns.plugins.kubernetes.settings import parse
from clusterdns.wire.name import from_text

Read = Callable[[str], Sequence[Directive]]

ENDPOINTS = {
    "a URL": ("endpoint https://10.0.0.1:6443", "https://10.0.0.1:6443"),
    "with a path": ("endpoint https://k8s.example/cluster/a", "https://k8s.example/cluster/a"),
    "an address alone": ("endpoint 10.0.0.1:8080", "http://10.0.0.1:8080"),
    "a host alone": ("endpoint k8s.example", "http://k8s.example"),
    "an IPv6 address alone": ("endpoint [fd00::1]:8080", "http://[fd00::1]:8080"),
    "an address alone, with tls": ("endpoint 10.0.0.1:6443\n tls cert key ca", "https://10.0.0.1:6443"),
    "tls first": ("tls cert key ca\n endpoint 10.0.0.1:6443", "https://10.0.0.1:6443"),
    "none": ("ttl 30", ""),
}


@pytest.mark.parametrize(("options", "expected"), ENDPOINTS.values(), ids=ENDPOINTS.keys())
def test_the_api_server(read_directives: Read, context: BlockContext, options: str, expected: str) -> None:
    settings = parse(read_directives(f"kubernetes {{\n {options}\n}}"), context)
    assert settings.api.endpoint == expected


REFUSED = {
    "no scheme of ours": ("endpoint ftp://10.0.0.1", "'ftp://10.0.0.1' is not the URL of a server"),
    "no host": ("endpoint https://:6443", "is not the URL of a server"),
    "a port out of range": ("endpoint https://a:70000", "is not the URL of a server"),
    "an open bracket": ("endpoint http://[fd00::1", "is not the URL of a server"),
    "a selector that ends early": ("labels a in (", "label selector 'a in (': "),
    "a zone that is not served": ("multicluster cluster.local set.local", "multicluster zone set.local. is not among"),
    "no zone": ("multicluster", "multicluster"),
    "a limit of staleness below the interval of probes": ("stale_after 4s", "'4s' is out of range"),
    "a limit of staleness without a unit": ("stale_after 10", "its unit is missing"),
    "audits more often than watches are proved": ("audit 9s", "'9s' is out of range"),
    "an interval of audits without a unit": ("audit 300", "its unit is missing"),
    "a selector of namespaces that is none": ("namespace_labels =b", "label selector '=b': "),
}


@pytest.mark.parametrize(("option", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_settings_that_would_fail_later_are_refused(
    read_directives: Read, context: BlockContext, option: str, text: str
) -> None:
    errors = ErrorList()
    with errors.collect():
        parse(read_directives(f"kubernetes {{\n {option}\n}}"), context)
    (error,) = errors.errors
    assert text in error.text
    assert (error.file, error.line, bool(error.hint)) == ("Corefile", 3, True)


@pytest.mark.parametrize(
    ("option", "seconds"),
    [("ttl 5", 10.0), ("stale_after 1m30s", 90.0), ("stale_after 5s", 5.0), ("stale_after off", math.inf)],
)
def test_the_limit_of_staleness(read_directives: Read, context: BlockContext, option: str, seconds: float) -> None:
    settings = parse(read_directives(f"kubernetes {{\n {option}\n}}"), context)
    assert settings.api.stale_after_seconds == seconds


@pytest.mark.parametrize(
    ("option", "seconds"), [("ttl 5", 300.0), ("audit 30s", 30.0), ("audit 1h", 3600.0), ("audit off", math.inf)]
)
def test_the_interval_of_audits(read_directives: Read, context: BlockContext, option: str, seconds: float) -> None:
    settings = parse(read_directives(f"kubernetes {{\n {option}\n}}"), context)
    assert settings.api.audit_seconds == seconds


def test_every_wrong_option_is_reported(read_directives: Read, context: BlockContext) -> None:
    options = "pod insecure\n ttl 99999\n zonal yes\n pods sometimes\n labels a in ("
    with pytest.raises(CorefileErrors) as raised:
        parse(read_directives(f"kubernetes {{\n {options}\n}}"), context)
    assert [error.line for error in raised.value.errors] == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("words", ["app=web", "environment in (production, qa),!legacy", "app==a,tier notin (b)"])
def test_selectors_are_kept_as_written(read_directives: Read, context: BlockContext, words: str) -> None:
    assert parse(read_directives(f"kubernetes {{\n labels {words}\n}}"), context).api.labels == words


def test_a_zone_needs_room_for_names(read_directives: Read, context: BlockContext) -> None:
    zone = ".".join(["z" * 60] * 4)
    with pytest.raises(CorefileError, match="leaves no room for names"):
        parse(read_directives(f"kubernetes {zone}"), context)


def test_ptr_records_point_into_the_clusters_own_zone(read_directives: Read, context: BlockContext) -> None:
    text = "kubernetes set.local in-addr.arpa own.local {\n multicluster set.local\n}"
    settings = parse(read_directives(text), context)
    assert settings.api.imports
    assert settings.multicluster == (from_text("set.local"),)
    assert settings.primary == from_text("own.local")
