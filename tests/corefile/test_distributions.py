"""Whole Corefiles in the shape that distributions ship them, to expected trees, printed and read back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from corefile.printing import print_corefile

from clusterdns.corefile.directive import ServerBlock
from clusterdns.corefile.load import load, parse

ARPA = "in-addr.arpa ip6.arpa"
FALLTHROUGH = f"fallthrough {ARPA}"

KUBEADM = """\
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
"""

K3S = """\
.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
      pods insecure
      fallthrough in-addr.arpa ip6.arpa
    }
    hosts /etc/coredns/NodeHosts {
      ttl 60
      reload 15s
      fallthrough
    }
    prometheus :9153
    cache 30
    loop
    reload
    loadbalance
    import custom/*.override
    forward . /etc/resolv.conf
}
import custom/*.server
"""

OPENSHIFT = """\
# corp
corp.example.com corp.example.net:5353 {
    forward . tls://10.1.1.1 10.1.1.2:5353 {
        policy random
        tls_servername dns.corp.example.com
    }
    errors
    log . {
        class denial error
    }
    bufsize 1232
    cache 900 {
        denial 9984 30
    }
}
.:5353 {
    bufsize 1232
    errors
    log . {
        class error
    }
    health {
        lameduck 20s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }
    prometheus 127.0.0.1:9153
    forward . /etc/resolv.conf {
        policy sequential
    }
    cache 900 {
        denial 9984 30
    }
    reload
}
hostname.bind:5353 {
    chaos
}
"""

NODE_LOCAL = """\
cluster.local:53 {
    errors
    cache {
            success 9984 30
            denial 9984 5
    }
    reload
    loop
    bind 169.254.20.10 10.96.0.10
    forward . 10.96.200.1 {
            force_tcp
    }
    prometheus :9253
    health 169.254.20.10:8080
    }
in-addr.arpa:53 {
    errors
    cache 30
    reload
    loop
    bind fd00::1
    forward . 10.96.200.1 {
            force_tcp
    }
    prometheus {$MY_HOST_IP}:9253
    health [fd00::1]:3989
    }
"""

GARDENER = r"""
.:8053 {
    health {
        lameduck 15s
    }
    ready
    rewrite stop {
        name regex (^(?:[^\.]+\.)+)svc\.cluster\.local\.example\.com {1}svc.cluster.local
        answer name (^(?:[^\.]+\.)+)svc\.cluster\.local {1}svc.cluster.local.example.com
        answer value (^(?:[^\.]+\.)+)svc\.cluster\.local {1}svc.cluster.local.example.com
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus :9153
    loop
    import custom/*.override
    errors
    log . {
        class error
    }
    reload
    loadbalance round_robin
    cache 30
    forward . /etc/resolv.conf {
      prefer_udp
    }
}
import custom/*.server
"""

AKS = r"""
.:53 {
    errors
    ready
    health {
      lameduck 5s
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
      pods insecure
      fallthrough in-addr.arpa ip6.arpa
      ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf
    cache 30
    loop
    reload
    loadbalance
    import custom/*.override
    template ANY ANY internal.cloudapp.net {
      match "^(?:[^.]+\.){4,}internal\.cloudapp\.net\.$"
      rcode NXDOMAIN
      fallthrough
    }
    template ANY ANY reddog.microsoft.com {
      rcode NXDOMAIN
    }
}
import custom/*.server # Add custom server blocks
"""

KUBESPRAY = """\
.:53 {
    errors {
    }
    health {
        lameduck 5s
    }
    ready
    kubernetes cluster.local. in-addr.arpa ip6.arpa {
      pods insecure
      fallthrough in-addr.arpa ip6.arpa
    }
    prometheus :9153
    forward . /etc/resolv.conf {
      prefer_udp
      max_concurrent 1000
    }
    cache 30

    loop
    reload
    loadbalance
}
"""

ZALANDO = """\
cluster.local:9254 10.2.0.0/15:9254 10.3.0.0/16:9254 {
    errors
    kubernetes {
        pods insecure
    }
    cache 30
    log svc.svc.cluster.local.
    health :9154 # this is global for all servers
    prometheus :9153
    ready :9155
    pprof 127.0.0.1:9156
}
ingress.cluster.local:9254 {
    template IN A ingress.cluster.local {
        answer "{{ .Name }} 60 IN A 10.5.99.99"
    }
}
"""

DISTRIBUTIONS: list[tuple[str, str, list[str]]] = [
    (
        "kubeadm",
        KUBEADM,
        [
            f".:53: errors | health {{ lameduck 5s }} | ready | kubernetes cluster.local {ARPA} "
            f"{{ pods insecure; {FALLTHROUGH}; ttl 30 }} | prometheus :9153 | forward . /etc/resolv.conf "
            "{ max_concurrent 1000 } | cache 30 { disable success cluster.local; disable denial cluster.local } | "
            "loop | reload | loadbalance"
        ],
    ),
    (
        "k3s with customisation",
        K3S,
        [
            f".:53: errors | health | ready | kubernetes cluster.local {ARPA} {{ pods insecure; {FALLTHROUGH} }} | "
            "hosts /etc/coredns/NodeHosts { ttl 60; reload 15s; fallthrough } | prometheus :9153 | cache 30 | loop | "
            "reload | loadbalance | log | rewrite name a.example.org b.example.org | forward . /etc/resolv.conf",
            "corp.local:53: errors | cache 30 | forward . 10.0.0.1",
        ],
    ),
    (
        "OpenShift",
        OPENSHIFT,
        [
            "corp.example.com corp.example.net:5353: forward . tls://10.1.1.1 10.1.1.2:5353 { policy random; "
            "tls_servername dns.corp.example.com } | errors | log . { class denial error } | bufsize 1232 | "
            "cache 900 { denial 9984 30 }",
            ".:5353: bufsize 1232 | errors | log . { class error } | health { lameduck 20s } | ready | "
            f"kubernetes cluster.local {ARPA} {{ pods insecure; {FALLTHROUGH} }} | prometheus 127.0.0.1:9153 | "
            "forward . /etc/resolv.conf { policy sequential } | cache 900 { denial 9984 30 } | reload",
            "hostname.bind:5353: chaos",
        ],
    ),
    (
        "NodeLocal",
        NODE_LOCAL,
        [
            "cluster.local:53: errors | cache { success 9984 30; denial 9984 5 } | reload | loop | "
            "bind 169.254.20.10 10.96.0.10 | forward . 10.96.200.1 { force_tcp } | prometheus :9253 | "
            "health 169.254.20.10:8080",
            "in-addr.arpa:53: errors | cache 30 | reload | loop | bind fd00::1 | "
            "forward . 10.96.200.1 { force_tcp } | prometheus 10.9.8.7:9253 | health [fd00::1]:3989",
        ],
    ),
    (
        "Gardener",
        GARDENER,
        [
            r".:8053: health { lameduck 15s } | ready | rewrite stop { "
            r"name regex (^(?:[^\.]+\.)+)svc\.cluster\.local\.example\.com {1}svc.cluster.local; "
            r"answer name (^(?:[^\.]+\.)+)svc\.cluster\.local {1}svc.cluster.local.example.com; "
            r"answer value (^(?:[^\.]+\.)+)svc\.cluster\.local {1}svc.cluster.local.example.com } | "
            f"kubernetes cluster.local {ARPA} {{ pods insecure; {FALLTHROUGH}; ttl 30 }} | prometheus :9153 | loop | "
            "log | rewrite name a.example.org b.example.org | errors | log . { class error } | reload | "
            "loadbalance round_robin | cache 30 | forward . /etc/resolv.conf { prefer_udp }",
            "corp.local:53: errors | cache 30 | forward . 10.0.0.1",
        ],
    ),
    (
        "AKS",
        AKS,
        [
            f".:53: errors | ready | health {{ lameduck 5s }} | kubernetes cluster.local {ARPA} "
            f"{{ pods insecure; {FALLTHROUGH}; ttl 30 }} | prometheus :9153 | forward . /etc/resolv.conf | cache 30 | "
            "loop | reload | loadbalance | log | rewrite name a.example.org b.example.org | "
            r"template ANY ANY internal.cloudapp.net { match ^(?:[^.]+\.){4,}internal\.cloudapp\.net\.$; "
            "rcode NXDOMAIN; fallthrough } | template ANY ANY reddog.microsoft.com { rcode NXDOMAIN }",
            "corp.local:53: errors | cache 30 | forward . 10.0.0.1",
        ],
    ),
    (
        "kubespray",
        KUBESPRAY,
        [
            f".:53: errors | health {{ lameduck 5s }} | ready | kubernetes cluster.local. {ARPA} "
            f"{{ pods insecure; {FALLTHROUGH} }} | prometheus :9153 | forward . /etc/resolv.conf "
            "{ prefer_udp; max_concurrent 1000 } | cache 30 | loop | reload | loadbalance"
        ],
    ),
    (
        "Zalando",
        ZALANDO,
        [
            "cluster.local:9254 10.2.0.0/15:9254 10.3.0.0/16:9254: errors | kubernetes { pods insecure } | cache 30 | "
            "log svc.svc.cluster.local. | health :9154 | prometheus :9153 | ready :9155 | pprof 127.0.0.1:9156",
            "ingress.cluster.local:9254: template IN A ingress.cluster.local "
            "{ answer ‹{{ .Name }} 60 IN A 10.5.99.99› }",
        ],
    ),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A mounted configuration with custom snippets beside the Corefile."""
    custom = tmp_path / "custom"
    custom.mkdir()
    (custom / "a.override").write_text("log\n")
    (custom / "b.override").write_text("# hairpin\nrewrite name a.example.org b.example.org")
    (custom / "empty.server").write_text("# nothing\n")
    (custom / "corp.server").write_text("corp.local:53 {\n    errors\n    cache 30\n    forward . 10.0.0.1\n}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"), [row[1:] for row in DISTRIBUTIONS], ids=[row[0] for row in DISTRIBUTIONS]
)
def test_tree(text: str, expected: list[str], folder: Path, flat: Callable[[ServerBlock], str]) -> None:
    path = folder / "Corefile"
    path.write_text(text)
    corefile = load(str(path), environ={"MY_HOST_IP": "10.9.8.7"})
    assert [flat(block) for block in corefile.blocks] == expected
    assert corefile.warnings == ()
    again = parse(print_corefile(corefile.blocks), "printed", {})
    assert [flat(block) for block in again.blocks] == expected


def test_a_missing_folder_of_customisations_is_only_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "Corefile"
    path.write_text(K3S)
    corefile = load(str(path), environ={})
    assert len(corefile.blocks) == 1
    assert [str(warning) for warning in corefile.warnings] == [
        f"{path}:19: No files matching import glob pattern: custom/*.override",
        f"{path}:22: No files matching import glob pattern: custom/*.server",
    ]


def test_networks_as_keys() -> None:
    blocks = parse(ZALANDO, "Corefile", {}).blocks
    assert blocks[0].zones_text == ("cluster.local.", "2.10.in-addr.arpa.", "3.10.in-addr.arpa.")
