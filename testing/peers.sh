#!/bin/sh
# Build CoreDNS and kustomize, and report the other peers of tests and benchmarks that are missing (`make peers`).
#
# Both are built from their Go modules into ${XDG_CACHE_HOME:-~/.cache}/clusterdns/peers/bin, once per user. Knot, dnsperf,
# dig and busybox come from the distribution; a missing one is reported with the Debian package that contains it.
set -eu

version=v1.15.0
kustomize_version=v5.8.0
bin=${XDG_CACHE_HOME:-$HOME/.cache}/clusterdns/peers/bin
PATH=$PATH:/usr/sbin:/sbin # knotd is not on a plain user's path
missing=

if [ -x "$bin/coredns" ] && "$bin/coredns" -version | grep -q "CoreDNS-${version#v}"; then
    echo "peers: CoreDNS $version is there already ($bin/coredns)"
elif command -v go > /dev/null; then
    echo "peers: building CoreDNS $version with $(go env GOVERSION) into $bin; some 3 minutes the first time"
    mkdir -p "$bin"
    GOBIN=$bin CGO_ENABLED=0 go install "github.com/coredns/coredns@$version"
    echo "peers: built $bin/coredns"
else
    echo "peers: the go command is missing, which builds CoreDNS: apt-get install golang, or Go 1.24 or later from go.dev" >&2
    missing=yes
fi

if [ -x "$bin/kustomize" ]; then
    echo "peers: kustomize is there already ($bin/kustomize)"
elif command -v go > /dev/null; then
    echo "peers: building kustomize $kustomize_version"
    mkdir -p "$bin"
    GOBIN=$bin CGO_ENABLED=0 go install "sigs.k8s.io/kustomize/kustomize/v5@$kustomize_version"
else
    echo "peers: the go command is missing, which builds kustomize" >&2
    missing=yes
fi

check() { # command, Debian package, what for
    if command -v "$1" > /dev/null; then
        echo "peers: $1 is $(command -v "$1")"
    else
        echo "peers: $1 is missing ($3): apt-get install $2" >&2
        missing=yes
    fi
}

check knotd knot "the static name server of the benchmarks"
check dnsperf dnsperf "the load of the benchmarks"
check dig bind9-dnsutils "the client of the journeys"
check busybox busybox "the other client of the journeys"
[ -z "$missing" ]
