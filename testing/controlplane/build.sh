#!/bin/sh
# Build etcd, kube-apiserver and kube-controller-manager for the tests, once per user and version (`make control-plane`).
#
# The binaries land in ${XDG_CACHE_HOME:-~/.cache}/clusterdns/control-plane/<versions>/, where testing/controlplane looks
# for them. go.mod has the newest release, and oldest.mod, with CLUSTERDNS_KUBERNETES=oldest, the oldest one that is
# supported. A folder of your own in KUBEBUILDER_ASSETS (the convention of envtest) is used instead and nothing is built.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
case ${CLUSTERDNS_KUBERNETES:-newest} in
newest) modfile=go.mod ;;
oldest) modfile=oldest.mod ;;
*) echo "control plane: CLUSTERDNS_KUBERNETES is $CLUSTERDNS_KUBERNETES; set it to newest or oldest" >&2 && exit 1 ;;
esac
etcd_version=$(awk '$1 == "go.etcd.io/etcd/server/v3" { print $2; exit }' "$here/$modfile")
kube_version=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' "$here/$modfile")
home=${XDG_CACHE_HOME:-$HOME/.cache}/clusterdns/control-plane
folder=$home/kubernetes-$kube_version-etcd-$etcd_version

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    echo "control plane: KUBEBUILDER_ASSETS is set, $KUBEBUILDER_ASSETS is used as it is"
    exit 0
fi
if [ -x "$folder/etcd" ] && [ -x "$folder/kube-apiserver" ] && [ -x "$folder/kube-controller-manager" ]; then
    echo "control plane: $folder is there already"
    exit 0
fi
if ! command -v go > /dev/null; then
    echo "control plane: the go command is missing; install Go 1.26 or later, or point KUBEBUILDER_ASSETS at a folder with etcd and kube-apiserver" >&2
    exit 1
fi

mkdir -p "$home"
building=$(mktemp -d "$home/building.XXXXXX")
trap 'rm -rf "$building"' EXIT
trap 'exit 130' INT TERM
echo "control plane: building Kubernetes $kube_version and etcd $etcd_version with $(go env GOVERSION); some 4 minutes on 2 cores the first time"
version=k8s.io/component-base/version
minor=${kube_version#v1.}
cd "$here"
for name in etcd kube-apiserver kube-controller-manager; do
    echo "control plane: $name"
    CGO_ENABLED=0 go build -mod=readonly -modfile=$modfile -trimpath -buildvcs=false \
        -ldflags "-s -w -X $version.gitVersion=$kube_version -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}" \
        -o "$building/$name" "./$name"
done
chmod 755 "$building"
rm -rf "$folder" # a folder that lacks one of the three
mv "$building" "$folder" # into place at once, so that nobody sees half a control plane
echo "control plane: built $folder"
