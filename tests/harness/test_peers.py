"""What happens where a real program is missing: a skip that says how to get it, or in CI a failure."""

from pathlib import Path

import pytest
from peers import need

from testing.controlplane import binaries
from testing.peers import MissingPeer


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.delenv("CLUSTERDNS_KUBERNETES", raising=False)
    monkeypatch.delenv("CLUSTERDNS_REQUIRE_PEERS", raising=False)
    return tmp_path


def program(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    path.chmod(0o700)
    return str(path)


def test_a_missing_tool_skips_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(pytest.skip.Exception, match="coredns is missing: run `make peers`"):
        need("coredns")
    monkeypatch.setenv("CLUSTERDNS_REQUIRE_PEERS", "1")
    with pytest.raises(pytest.fail.Exception, match="coredns is missing"):
        need("coredns")


def test_built_peers_come_before_path(empty: Path) -> None:
    on_path = program(empty / "coredns")
    assert need("coredns") == on_path
    built = program(empty / "clusterdns" / "peers" / "bin" / "coredns")
    assert need("coredns") == built


def test_the_control_plane_is_built_or_given(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingPeer, match="control plane is missing: run `make control-plane`"):
        binaries.find()
    program(empty / "openssl")
    releases = {"newest": "kubernetes-v1.37.2-etcd-v3.7.0", "oldest": "kubernetes-v1.34.4-etcd-v3.6.4"}
    for release, folder in releases.items():
        for name in binaries.SERVERS:
            program(empty / "clusterdns/control-plane" / folder / name)
            given = program(empty / "assets" / name)
        monkeypatch.setenv("CLUSTERDNS_KUBERNETES", release)
        assert binaries.find().name == folder
    monkeypatch.delenv("CLUSTERDNS_KUBERNETES")
    assert binaries.find().name == releases["newest"]
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(empty / "assets"))
    assert binaries.find() == Path(given).parent
