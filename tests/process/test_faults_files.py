"""Named pipes and folders instead of files: the running server neither blocks on them nor stops answering."""

import os
import signal

from process.running import WEB, Start

from testing.waiting import wait_for

COREFILE = """
.:1053 {
    bind HOST
    kubernetes cluster.local {
        manifests cluster
    }
    hosts hosts {
        reload 100ms
        fallthrough
    }
    errors
    ready HOST:8181
    prometheus HOST:9153
    import more
}
"""


def test_a_named_pipe_as_import_does_not_block_the_start(start: Start) -> None:
    """Opening one waits for a writer, and at the start the signals with it."""
    server = start(COREFILE)
    os.mkfifo(server.folder / "more")
    try:
        server.kill()
        server.start()
        assert server.wait_ended() == 1
        assert "Could not import" in server.err
        assert "is a pipe or socket, not a file" in server.err
    finally:
        server.kill()


def test_pipes_and_folders_instead_of_files_change_nothing(start: Start) -> None:
    server = start(COREFILE.replace("    import more\n", ""))
    (server.folder / "hosts").write_text("10.1.1.1 name.example.org\n")
    server.wait_serving()
    wait_for(lambda: server.dig("name.example.org") == ["10.1.1.1"], "the hosts file")
    for name in ("hosts", "Corefile"):
        path = server.folder / name
        path.unlink()
        os.mkfifo(path)
    wait_for(lambda: "hosts: is not a regular file" in server.get(8181, "/ready").text, "the warning")
    server.send_signal(signal.SIGHUP)
    assert server.dig("name.example.org") == ["10.1.1.1"]
    assert server.dig(WEB) == ["10.96.0.10"]
    assert server.metric("clusterdns_hosts_read_failures_total") == 1
    assert server.stop() == 0
