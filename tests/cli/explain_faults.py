"""Seeded faults: a cluster, a Corefile and a question each, with the cause that an explanation names."""

from typing import NamedTuple

CLUSTER = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: prod}}
- {apiVersion: v1, kind: Namespace, metadata: {name: dev}}
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: prod}
  spec:
    clusterIP: 10.96.0.10
    selector: {app: web}
    ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}, {name: metrics, port: 9090}]
- apiVersion: v1
  kind: Service
  metadata: {name: db, namespace: prod}
  spec: {clusterIP: None, selector: {app: db}, ports: [{name: sql, port: 5432}]}
- apiVersion: v1
  kind: Service
  metadata: {name: eager, namespace: prod}
  spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: db}, ports: [{name: sql, port: 5432}]}
- apiVersion: v1
  kind: Service
  metadata: {name: set, namespace: prod}
  spec: {clusterIP: None, selector: {app: set}, ports: [{name: peer, port: 7000, targetPort: gossip}]}
- {apiVersion: v1, kind: Service, metadata: {name: eager-set, namespace: prod},
   spec: {clusterIP: None, selector: {app: set}, ports: [{name: peer, port: 7000}]}}
- {apiVersion: v1, kind: Service, metadata: {name: six, namespace: prod},
   spec: {clusterIP: None, ipFamilies: [IPv6], selector: {app: web}, ports: [{name: peer, port: 7000}]}}
- apiVersion: v1
  kind: Service
  metadata: {name: typo, namespace: prod}
  spec: {clusterIP: None, selector: {app: wbe}, ports: [{port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: lost, namespace: prod}
  spec: {clusterIP: 10.96.0.11, selector: {app: nothing-has-this}, ports: [{port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: bare, namespace: prod}
  spec: {clusterIP: None, ports: [{port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: cut, namespace: prod}
  spec: {clusterIP: None, ports: [{port: 80}]}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: x, namespace: prod, labels: {kubernetes.io/service-name: cut}}
  addressType: IPv4
  ports: [{port: 80}]
  endpoints: [{addresses: ["10.1.0.021"]}]
- apiVersion: v1
  kind: Service
  metadata: {name: crash, namespace: prod}
  spec: {clusterIP: None, selector: {app: crash}, ports: [{port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: pull, namespace: prod}
  spec: {clusterIP: 10.96.0.12, selector: {app: pull}, ports: [{port: 80}]}
- apiVersion: v1
  kind: Service
  metadata: {name: only-dev, namespace: dev}
  spec: {clusterIP: 10.96.0.13, ports: [{port: 80}]}
- {apiVersion: v1, kind: Service, metadata: {name: v6, namespace: prod},
   spec: {clusterIP: "fd00::6", clusterIPs: ["fd00::6"], ipFamilies: [IPv6], ports: [{port: 80}]}}
CHAIN
- {apiVersion: v1, kind: Service, metadata: {name: nowhere, namespace: prod},
   spec: {type: ExternalName, externalName: no.such.cluster.local}}
- {apiVersion: v1, kind: Service, metadata: {name: alias, namespace: prod},
   spec: {type: ExternalName, externalName: web.prod.svc.cluster.local}}
- {apiVersion: v1, kind: Service, metadata: {name: ring, namespace: prod},
   spec: {type: ExternalName, externalName: ring2.prod.svc.cluster.local}}
- {apiVersion: v1, kind: Service, metadata: {name: ring2, namespace: prod},
   spec: {type: ExternalName, externalName: ring.prod.svc.cluster.local}}
- {apiVersion: v1, kind: Service, metadata: {name: number, namespace: prod},
   spec: {type: ExternalName, externalName: 192.0.2.7}}
- apiVersion: v1
  kind: Service
  metadata: {name: kube-dns, namespace: kube-system}
  spec: {clusterIP: 10.96.0.53, ports: [{name: dns, port: 53, protocol: UDP}]}
- {apiVersion: v1, kind: Service, metadata: {name: wide, namespace: prod},
   spec: {clusterIP: None, ports: [{port: 80}]}}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: wide-1, namespace: prod, labels: {kubernetes.io/service-name: wide}}
  addressType: IPv4
  ports: [{port: 80}]
  endpoints: [ENDPOINTS]
- {apiVersion: v1, kind: Service, metadata: {name: broken, namespace: prod},
   spec: {clusterIP: 10.96.0.14, ports: [{port: many}]}}
- apiVersion: v1
  kind: Pod
  metadata: {name: web-1, namespace: prod, labels: {app: web}}
  spec: {nodeName: node-a, containers: [{name: c, ports: [{containerPort: 8080}]}]}
  status: {phase: Running, podIP: 10.244.1.4, conditions: [{type: Ready, status: "True"}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: db-0, namespace: prod, labels: {app: db}}
  spec: {containers: [{name: c, readinessProbe: {tcpSocket: {port: 5432}}}]}
  status: {phase: Running, podIP: 10.244.1.5, conditions: [{type: Ready, status: "False"}],
           containerStatuses: [{name: c, ready: false, state: {running: {}}}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: set-0, namespace: prod, labels: {app: set}}
  spec: {hostname: set-0, subdomain: set, containers: [{name: c}]}
  status: {phase: Running, podIP: 10.244.1.6, conditions: [{type: Ready, status: "True"}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: set-1, namespace: prod, labels: {app: set}}
  spec: {hostname: set-1, subdomain: set, containers: [{name: c}]}
  status: {phase: Running, podIP: 10.244.1.7, conditions: [{type: Ready, status: "False", message: "gate"}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: crash-0, namespace: prod, labels: {app: crash}}
  spec: {containers: [{name: main}]}
  status: {phase: Running, podIP: 10.244.1.8, conditions: [{type: Ready, status: "False"}],
           containerStatuses: [{name: main, ready: false, state: {waiting: {reason: CrashLoopBackOff}}}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: pull-0, namespace: prod, labels: {app: pull}}
  spec: {containers: [{name: main}]}
  status: {phase: Pending, conditions: [{type: Ready, status: "False"}],
           containerStatuses: [{name: main, ready: false, state: {waiting: {reason: ImagePullBackOff}}}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: node-agent, namespace: prod, labels: {app: agent}}
  spec: {hostNetwork: true, dnsPolicy: ClusterFirst, containers: [{name: c}]}
  status: {phase: Running, podIP: 10.0.0.5, conditions: [{type: Ready, status: "True"}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: tuned, namespace: prod, labels: {app: tuned}}
  spec: {dnsConfig: {searches: [corp.example], options: [{name: ndots, value: "1"}]}, containers: [{name: c}]}
  status: {phase: Running, podIP: 10.244.1.9, conditions: [{type: Ready, status: "True"}]}
""".replace(
    "CHAIN",
    "".join(
        f"""
- {{apiVersion: v1, kind: Service, metadata: {{name: far-{number}, namespace: prod}},
   spec: {{type: ExternalName, externalName: far-{number + 1}.prod.svc.cluster.local}}}}"""
        for number in range(20)
    ),
).replace("ENDPOINTS", ", ".join(f"{{addresses: [10.3.0.{number}]}}" for number in range(99)))
LINES = """.:53 {
    errors
    log
    acl {
        block net 10.244.1.9/32
        filter type TXT net 10.244.1.8/32
        drop net 10.244.1.6/32
    }
    rewrite name exact old.example wrong.prod.svc.cluster.local
    rewrite name suffix .short .prod.svc.cluster.local answer auto
    template IN ANY banned.example {
        rcode NXDOMAIN
    }
    template IN A picky.example {
        match ^yes[.]
        answer "{{ .Name }} 60 IN A 192.0.2.1"
    }
    hosts /dev/null printer.example {
        192.0.2.5 printer.example
    }
    k8s_external ext.example
    kubernetes cluster.local in-addr.arpa {
        manifests cluster.yaml
        OPTIONS
        fallthrough in-addr.arpa
    }
}
taken.cluster.local:53 {
    acl {
        allow
    }
    file db.example corp.example
}
corp.example:53 {
    file db.example
}
"""
ZONE_FILE = """$ORIGIN corp.example.
@ 60 SOA ns hm 1 2 3 4 60
@ NS ns
ns A 192.0.2.53
sub NS ns.sub
ns.sub A 192.0.2.54
"""


class Fault(NamedTuple):
    """A question, and what the explanation of it begins with and names; `options` are lines of `kubernetes`."""

    question: str  # as on the command line
    begins: str
    names: str = ""
    code: int = 1
    options: str = ""


FAULTS: dict[str, Fault] = {
    "name": Fault("wbe.prod.svc.cluster.local",
                  'NXDOMAIN: Service "wbe" does not exist in namespace "prod"', 'did you mean "web"?'),
    "namespace": Fault("web.prodd.svc.cluster.local",
                       'NXDOMAIN: namespace "prodd" does not exist; did you mean "prod"?'),
    "other namespace": Fault("only-dev.prod.svc.cluster.local",
                             'NXDOMAIN: Service "only-dev" does not exist in namespace "prod"', "namespace dev"),
    "port": Fault("_htp._tcp.web.prod.svc.cluster.local",
                  'NXDOMAIN: Service prod/web has no port "htp"; did you mean "http"?'),
    "protocol": Fault("_http._udp.web.prod.svc.cluster.local",
                      'NXDOMAIN: port "http" of Service prod/web is TCP, not UDP', "_http._tcp.web.prod.svc"),
    "port without a name": Fault("_x._tcp.lost.prod.svc.cluster.local",
                                 'NXDOMAIN: Service prod/lost has no port "x"', "its ports have no names"),
    "selector with a typo": Fault("typo.prod.svc.cluster.local",
                                  "NXDOMAIN: Service prod/typo exists, its selector app=wbe matches no pod",
                                  'did you mean "app=web"?'),
    "selector matches nothing, ClusterIP": Fault(
        "lost.prod.svc.cluster.local", "resolves: Service prod/lost (ClusterIP), but nothing answers there",
        "its selector app=nothing-has-this matches no pod", 0),
    "pods unready": Fault("db.prod.svc.cluster.local",
                          "NXDOMAIN: Service prod/db exists, 0 of 1 endpoints are ready"
                          " (readiness probe of db-0 fails)",
                          "kubectl -n prod describe pod db-0"),
    "crash loop": Fault("crash.prod.svc.cluster.local",
                        "NXDOMAIN: Service prod/crash exists, 0 of 1 endpoints are ready ("
                        "container main of crash-0: CrashLoopBackOff)"),
    "image": Fault("pull.prod.svc.cluster.local", "resolves: Service prod/pull (ClusterIP), but nothing answers there",
                   "container main of pull-0: ImagePullBackOff", 0),
    "publishNotReadyAddresses": Fault("eager.prod.svc.cluster.local",
                                      "resolves: Service prod/eager (headless) publishes endpoints", "", 0),
    "headless without selector": Fault("bare.prod.svc.cluster.local",
                                       "NXDOMAIN: Service prod/bare exists, has no selector, and no EndpointSlice"),
    "skipped address": Fault("cut.prod.svc.cluster.local",
                             'skipped: EndpointSlice prod/x: address "10.1.0.021" is not an IP address'),
    "skipped Service": Fault("broken.prod.svc.cluster.local",
                             "skipped: Service prod/broken: Expected `int | null`, got `str`"),
    "no TCP port": Fault("wide.prod.svc.cluster.local", "resolves: Service prod/wide (headless)",
                         "Service kube-system/kube-dns has no TCP port 53", 0),
    "no external address": Fault("web.prod.ext.example", "NXDOMAIN: k8s_external at Corefile:21 has no address"),
    "svc with a typo": Fault("web.prod.scv.cluster.local", "NXDOMAIN: a Service's name in cluster.local. has the label",
                             'did you mean "web.prod.svc.cluster.local."?'),
    "swapped labels": Fault("prod.web.svc.cluster.local", 'NXDOMAIN: namespace "web" does not exist; namespace and',
                            'did you mean "web.prod.svc.cluster.local."?'),
    "no namespace": Fault("lost.svc.cluster.local", 'NXDOMAIN: namespace "lost" does not exist; a Service\'s name has',
                          'did you mean "lost.prod.svc.cluster.local."?'),
    "targetPort that no container names": Fault("_peer._tcp.set.prod.svc.cluster.local",
                                                'NXDOMAIN: no ready endpoint of Service prod/set has the port "peer"',
                                                "targetPort gossip"),
    "another family": Fault("six.prod.svc.cluster.local",
                            "NXDOMAIN: Service prod/six exists, 0 of 1 endpoints are ready",
                            "(web-1 has no IPv6 address)"),
    "subdomain of another Service": Fault("set-0.eager-set.prod.svc.cluster.local",
                                          'NXDOMAIN: pod "set-0" is a ready endpoint of Service prod/eager-set',
                                          "its subdomain (serviceName) must be eager-set"),
    "delegation": Fault("www.sub.corp.example", "NODATA: the zone of 'file' at Corefile:", "to ns.sub.corp.example."),
    "another block": Fault("web.prod.taken.cluster.local",
                           "REFUSED: the server block taken.cluster.local. at Corefile:"),
    "endpoint not ready": Fault("set-1.set.prod.svc.cluster.local",
                                'NXDOMAIN: endpoint "set-1" of Service prod/set is left out: set-1 is not ready: gate'),
    "endpoint name": Fault("set-00.set.prod.svc.cluster.local",
                           'NXDOMAIN: no ready endpoint of Service prod/set is called "set-00"',
                           'did you mean "set-0"?'),
    "ExternalName to nowhere": Fault("nowhere.prod.svc.cluster.local",
                                     'NXDOMAIN: Service prod/nowhere is an ExternalName of "no.such.cluster.local"'),
    "ExternalName in a loop": Fault("ring.prod.svc.cluster.local", "NODATA: the CNAMEs lead back to ring.prod.svc"),
    "a chain of ExternalNames": Fault("far-0.prod.svc.cluster.local",
                                      'SERVFAIL: Service prod/far-0 is an ExternalName of "far-1.prod.svc.clus',
                                      "more than 16 CNAMEs"),
    "ExternalName to an address": Fault("number.prod.svc.cluster.local",
                                        'NXDOMAIN: externalName "192.0.2.7" of Service prod/number is an IP address'),
    "ExternalName that works": Fault("alias.prod.svc.cluster.local",
                                     'resolves: Service prod/alias is an ExternalName of "web.prod', "", 0),
    "cluster domain": Fault("web.prod.svc.k8s.local", "SERVFAIL: web.prod.svc.k8s.local. is in no zone of this cluster",
                            'did you mean "web.prod.svc.cluster.local."?'),
    "cluster domain and name": Fault("nope.prod.svc.k8s.local",
                                     "SERVFAIL: nope.prod.svc.k8s.local. is in no zone of this cluster",
                                     "names of Services end in .svc.cluster.local."),
    "an external name like a Service's": Fault("web.prod.example.com", "SERVFAIL: no plugin of the server block"),
    "no svc label": Fault("web.prod.cluster.local", "NXDOMAIN: a Service's name in cluster.local. has the label",
                          'did you mean "web.prod.svc.cluster.local."?'),
    "short name": Fault("web.prod", "SERVFAIL: web.prod. is short, and this query has no search list",
                        "--from NAMESPACE"),
    "not in the schema": Fault("a.b.c.d.e.f.svc.cluster.local", "NXDOMAIN: no object of the cluster can have the name"),
    "IPv6 alone": Fault("v6.prod.svc.cluster.local", "resolves: Service prod/v6", "", 0),
    "IPv6 alone, A": Fault("v6.prod.svc.cluster.local A", "NODATA: Service prod/v6 has IPv6 addresses only"),
    "AAAA": Fault("web.prod.svc.cluster.local AAAA", "NODATA: Service prod/web has IPv4 addresses only"),
    "MX": Fault("web.prod.svc.cluster.local MX", "NODATA: Service prod/web exists, and has no MX record"),
    "acl block": Fault("web.prod.svc.cluster.local --client 10.244.1.9", "refused by acl at Corefile:4 (line 5)"),
    "acl by pod": Fault("web.prod.svc.cluster.local. --from prod/tuned", "refused by acl at Corefile:4 (line 5)"),
    "acl filter": Fault("web.prod.svc.cluster.local TXT --client 10.244.1.8", "emptied by acl at Corefile:4 (line 6)"),
    "acl drop": Fault("web.prod.svc.cluster.local --client 10.244.1.6", "dropped by acl at Corefile:4 (line 7)"),
    "rewrite": Fault("old.example", 'NXDOMAIN: Service "wrong" does not exist in namespace "prod"',
                     "asked as wrong.prod.svc.cluster.local. by the rewrite at Corefile:9"),
    "rewrite that works": Fault("web.short", "resolves: Service prod/web", "by the rewrite at Corefile:10", 0),
    "template": Fault("www.banned.example", "NXDOMAIN: template at Corefile:11: this template answers NXDOMAIN"),
    "template without fallthrough": Fault("no.picky.example", "SERVFAIL: template at Corefile:14",
                                          "it has no 'fallthrough' for the name"),
    "hosts": Fault("printer.example AAAA", "NODATA: hosts at Corefile:18", "lines of the block has A"),
    "hosts without fallthrough": Fault("tray.printer.example", "SERVFAIL: hosts at Corefile:18", "add 'fallthrough'"),
    "zone file": Fault("www.corp.example",
                       "NXDOMAIN: www.corp.example. does not exist in the zone of 'file' at Corefile"),
    "end of the chain": Fault("www.example.com", "SERVFAIL: no plugin of the server block at Corefile:1 answers"),
    "pods disabled": Fault("10-244-1-4.prod.pod.cluster.local", "NXDOMAIN: pod names are off (pods disabled"),
    "pod missing": Fault("10-244-9-9.prod.pod.cluster.local",
                         'NXDOMAIN: no pod of namespace "prod" has the address 10.244.9.9', "", 1, "pods verified"),
    "pod of another namespace": Fault("10-244-1-4.dev.pod.cluster.local", 'NXDOMAIN: no pod of namespace "dev"',
                                      'it is of a pod in "prod"', 1, "pods verified"),
    "pod label": Fault("web-1.prod.pod.cluster.local", 'NXDOMAIN: "web-1" is not the address of a pod', "10-1-2-3", 1,
                       "pods verified"),
    "namespaces": Fault("web.prod.svc.cluster.local", 'NXDOMAIN: namespace "prod" is left out by the option namespaces',
                        "Corefile:", 1, "namespaces dev"),
    "labels": Fault("web.prod.svc.cluster.local", 'NXDOMAIN: Service "web" does not exist', "tier=front", 1,
                    "labels tier=front"),
    "ignore empty_service": Fault("lost.prod.svc.cluster.local", "NXDOMAIN: Service prod/lost exists",
                                  "ignore empty_service at Corefile", 1, "ignore empty_service"),
    "noendpoints": Fault("set.prod.svc.cluster.local", "NXDOMAIN: noendpoints at Corefile", "", 1, "noendpoints"),
    "reverse name": Fault("10.99.99.99", "SERVFAIL: no Service or ready endpoint has the address 10.99.99.99"),
    "reverse name, from a pod": Fault("10.96.0.10 --from prod", "resolves: 1 record, from kubernetes", "", 0),
    "reverse name that works": Fault("10.96.0.10", "resolves: 1 record, from kubernetes", "", 0),
    "ndots": Fault("nowhere.example.com --from prod", "SERVFAIL: no plugin of the server block",
                   "getaddrinfo says EAI_AGAIN"),
    "ndots below the dots": Fault("web.prod --from prod/tuned --client 127.0.0.1", "resolves: Service prod/web",
                                  "but musl fails with EAI_AGAIN at web.prod.", 0),
    "search list, as kubectl says it": Fault("web -n prod", "resolves: Service prod/web (ClusterIP)", "", 0),
    "search list": Fault("web --from prod", "resolves: Service prod/web (ClusterIP)", "", 0),
    "search list, other namespace": Fault("web --from dev", 'NXDOMAIN: Service "web" does not exist in namespace "dev"',
                                          "there is one in namespace prod"),
    "search list, namespace with a typo": Fault("web.prd --from dev", 'NXDOMAIN: namespace "prd" does not exist'),
    "node's resolver": Fault("web --from prod/node-agent", "pod prod/node-agent has hostNetwork and dnsPolicy",
                             "ClusterFirstWithHostNet", 2),
    "missing namespace of the pod": Fault("web --from nope", 'NXDOMAIN: namespace "nope" does not exist'),
}  # fmt: skip
