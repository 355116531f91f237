"""The Corefiles of tests/corefiles, parsed, printed and parsed again. Tests there query their servers."""

from collections.abc import Callable

import pytest
from corefile.trees import print_corefile
from corefiles.distribution import HERE, Distribution, names

from clusterdns.corefile.directive import ServerBlock
from clusterdns.corefile.load import load, parse

ARPA = "in-addr.arpa ip6.arpa"
FALLTHROUGH = f"fallthrough {ARPA}"
MISSING = ("aks", "aks-engine", "k3s", "k3s-custom", "vcluster", "wild-imports")  # a folder that they import from
Flat = Callable[[ServerBlock], str]

TREES: dict[str, list[str]] = {
    "kubeadm": [
        f".:53: errors | health {{ lameduck 5s }} | ready | kubernetes cluster.local {ARPA} {{ pods insecure; "
        f"{FALLTHROUGH}; ttl 30 }} | prometheus :9153 | forward . /etc/resolv.conf {{ max_concurrent 1000 }} | "
        "cache 30 { disable success cluster.local; disable denial cluster.local } | loop | reload | loadbalance"
    ],
    "gardener": [
        r".:8053: health { lameduck 15s } | ready | rewrite stop { "
        r"name regex (^(?:[^\.]+\.)+)svc\.cluster\.local\.shoot\.example {1}svc.cluster.local; "
        r"answer name (^(?:[^\.]+\.)+)svc\.cluster\.local {1}svc.cluster.local.shoot.example; "
        r"answer value (^(?:[^\.]+\.)+)svc\.cluster\.local {1}svc.cluster.local.shoot.example } | rewrite stop { "
        r"name regex (^(?:[^\.]+\.)+corefiles)\.svc\.search\.example {1}.svc.cluster.local; "
        r"answer name (^(?:[^\.]+\.)+corefiles)\.svc\.cluster\.local {1}.svc.search.example; "
        r"answer value (^(?:[^\.]+\.)+corefiles)\.svc\.cluster\.local {1}.svc.search.example } | "
        f"kubernetes cluster.local {ARPA} {{ pods insecure; {FALLTHROUGH}; ttl 30 }} | prometheus :9153 | loop | "
        "errors | log . { class error } | reload | loadbalance round_robin | cache 30 | forward . /etc/resolv.conf"
    ],
    "wild-quotes": [
        ".:53: errors | kubernetes cluster.local in-addr.arpa ip6.arpa { pods insecure; "
        "fallthrough in-addr.arpa ip6.arpa } | "
        r"template IN A quoted.example { match ^(?:[^.]+\.){2,}quoted\.example\.$; "
        "answer ‹{{ .Name }} 60 IN A 192.0.2.1›; fallthrough } | template IN TXT quoted.example { "
        r'answer ‹{{ .Name }} 60 IN TXT "said \\"so\\""› } | template IN AAAA quoted.example { '
        "answer ‹{{ .Name }}\n                60 IN AAAA 2001:db8::1› } | "
        r"rewrite name regex (.*)\.localho\.st {1}.corefiles.svc.cluster.local | forward . 8.8.8.8 | cache 30"
    ],
    "wild-environment": [
        ".:53: errors | bind 127.0.0.1 | kubernetes cluster.local in-addr.arpa ip6.arpa { pods insecure; "
        "fallthrough in-addr.arpa ip6.arpa } | hosts { 192.0.2.5 from-environment.example; fallthrough } | "
        "forward . 8.8.8.8 | cache 30 | loop"
    ],
    "wild-imports": [
        ".:53: errors | cache 30 | kubernetes cluster.local in-addr.arpa ip6.arpa { pods insecure; "
        "fallthrough in-addr.arpa ip6.arpa } | forward . 8.8.8.8 { max_concurrent 1000; policy sequential }",
        "stub.example:53: errors | cache 30 | forward . 8.8.8.8 { max_concurrent 1000; policy sequential }",
        "one.example:53: hosts { 192.0.2.6 a.one.example }",
    ],
}


def _blocks(name: str) -> tuple[ServerBlock, ...]:
    return load(str(HERE / name / "Corefile"), environ=Distribution(name).environment).blocks


@pytest.mark.parametrize("name", names())
def test_printed_and_read_back(name: str, flat: Flat) -> None:
    trees = [flat(block) for block in _blocks(name)]
    printed = parse(print_corefile(_blocks(name)), "printed", {})
    assert trees == [flat(block) for block in printed.blocks]
    assert all(trees)


@pytest.mark.parametrize("name", TREES)
def test_tree(name: str, flat: Flat) -> None:
    assert [flat(block) for block in _blocks(name)] == TREES[name]


@pytest.mark.parametrize("name", names())
def test_a_missing_folder_of_customisations_is_only_a_warning(name: str) -> None:
    corefile = load(str(HERE / name / "Corefile"), environ=Distribution(name).environment)
    unset = [warning for warning in corefile.warnings if "is not set" in warning.text]
    missing = [warning for warning in corefile.warnings if "No files matching import glob pattern" in warning.text]
    assert bool(missing) == (name in MISSING)
    assert len(missing) + len(unset) == len(corefile.warnings)


def test_networks_as_keys() -> None:
    zones = _blocks("zalando")[0].zones_text
    assert zones[:4] == ("cluster.local.", "2.10.in-addr.arpa.", "3.10.in-addr.arpa.", "96.10.in-addr.arpa.")
    assert len(zones) == 3 + 16
