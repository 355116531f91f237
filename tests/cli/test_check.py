"""`clusterdns check`: every error on standard error, or one line that sums up the configuration."""

import io
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from program import Program

GOOD = """
cluster.local 10.0.0.0/8 {
    bind 127.0.0.1
    kubernetes {
        manifests here
    }
    prometheus 127.0.0.1:9153
}
.:5300 {
    whoami
}
"""


def test_a_good_corefile_is_summed_up_in_one_line(program: Program, tmp_path: Path) -> None:
    (tmp_path / "good").write_text(GOOD)
    code, out, err = program("check", "good")
    assert (code, err) == (0, "")
    expected = "good: OK: 2 server blocks, 3 zones, 2 listeners (dns://127.0.0.1:53, dns://:5300)"
    assert out.splitlines()[0] == expected


def test_the_default_port_can_be_chosen(program: Program, tmp_path: Path) -> None:
    (tmp_path / "good").write_text(". {\n whoami\n}\n")
    code, out, err = program("check", "--dns-port", "1053", "good")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "good: OK: 1 server block, 1 zone, 1 listener (dns://:1053)"


def test_differences_from_coredns_are_listed_for_the_directives_used(program: Program, tmp_path: Path) -> None:
    (tmp_path / "good").write_text(". {\n cache\n forward . 127.0.0.1\n}\n")
    lines = program("check", "good").out.splitlines()
    assert any(line.startswith("  cache (good:2): Never caches the server's own data") for line in lines)
    assert "    wrong-question: a reply to another question is ignored, not passed on as FORMERR" in lines
    assert any("udp-at-1232" in line for line in lines), "a difference of every configuration"
    assert not any("externalname" in line or "kubernetes (" in line for line in lines)


def test_every_error_has_file_line_and_hint(program: Program, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text(". {\n kubernetes {\n  pods maybe\n }\n erors\n dnssec\n}\n}\n")
    code, out, err = program("check", "bad")
    lines = err.splitlines()
    assert (code, out) == (1, "")
    assert sorted(line.split(" ")[0] for line in lines) == ["bad:3:", "bad:5:", "bad:6:", "bad:8:"]
    assert all("; " in line for line in lines)
    assert any("'errors'" in line for line in lines)


def test_a_zone_that_leaves_no_room_for_names_is_an_error(program: Program, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text(f"{'.'.join(['z' * 60] * 4)} {{\n kubernetes\n}}\n")
    code, _, err = program("check", "bad")
    assert (code, err.split(" ")[0]) == (1, "bad:2:")


def test_warnings_are_printed_and_the_exit_code_is_0(program: Program, tmp_path: Path) -> None:
    (tmp_path / "odd").write_text("10.1.2.3 {\n whoami\n}\n")
    code, out, err = program("check", "odd")
    assert (code, out.startswith("odd: OK: ")) == (0, True)
    assert err.startswith("warning: odd:1: '10.1.2.3' is served as a name;")


def test_warnings_are_printed_before_errors(program: Program, tmp_path: Path) -> None:
    (tmp_path / "odd").write_text("10.1.2.3 {\n nosuch\n}\n")
    code, _, err = program("check", "odd")
    assert code == 1
    assert [line.split(" ")[:2] for line in err.splitlines()] == [["warning:", "odd:1:"], ["odd:2:", "Unknown"]]


@pytest.mark.parametrize("path", ["-", "stdin"])
def test_standard_input(program: Program, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(". {\n nosuch\n}\n"))
    code, _, err = program("check", path)
    assert (code, err.split(" ")[0]) == (1, "stdin:2:")


def test_a_missing_file_is_an_error(program: Program) -> None:
    code, out, err = program("check", "nowhere")
    assert (code, out) == (1, "")
    assert err.startswith("nowhere: cannot be read: no such file or directory; ")


def test_a_folder_is_an_error(program: Program, tmp_path: Path) -> None:
    assert program("check", str(tmp_path)).code == 1


def test_no_socket_is_bound(program: Program, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "good").write_text(f".:{port} {{\n bind 127.0.0.1\n health 127.0.0.1:{port}\n}}\n")
        assert program("check", "good").code == 0


def test_zone_files_are_read_as_at_a_start(program: Program, tmp_path: Path) -> None:
    (tmp_path / "db.good").write_text("$TTL 60\n@ SOA ns hm 1 7200 1800 86400 60\n@ NS ns\n")
    (tmp_path / "db.other").write_text("$TTL 60\nother.test. SOA ns hm 1 7200 1800 86400 60\n")
    (tmp_path / "db.broken").write_text("$TTL 60\n@ SOA ns hm 1 7200 1800 86400 60\nwww A 192.0.2.256\n")
    files = {name: str(tmp_path / f"db.{name}") for name in ("good", "other", "broken", "missing")}
    (tmp_path / "good").write_text(f"a.test {{\n file {files['good']}\n file {files['missing']} b.test\n}}\n")
    code, out, err = program("check", "good")
    assert (code, out.startswith("good: OK: ")) == (0, True)
    assert f"{files['missing']}: No such file or directory; SERVFAIL until it can be read" in err
    (tmp_path / "bad").write_text(f"a.test {{\n file {files['other']}\n}}\nb.test {{\n file {files['broken']}\n}}\n")
    code, out, err = program("check", "bad")
    assert (code, out) == (1, "")
    assert [line.split(" ")[:2] for line in err.splitlines()] == [
        ["bad:2:", f"{files['other']}:"],
        ["bad:5:", f"{files['broken']}:3:"],
    ]


def test_a_missing_kubeconfig_is_a_warning(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    (tmp_path / "good").write_text(f". {{\n kubernetes cluster.local {{\n  kubeconfig {path}\n }}\n}}\n")
    code, _, err = program("check", "good")
    assert (code, err.count(f"kubeconfig {path}: not found; SERVFAIL until it exists")) == (0, 1)
    path.touch()
    assert "kubeconfig" not in program("check", "good").err


def test_a_wrong_command_line_is_exit_code_2(program: Program) -> None:
    code, out, err = program("check")
    assert (code, out) == (2, "")
    assert "Missing argument 'COREFILE'" in err


def test_check_loads_neither_the_kubernetes_client_nor_rich() -> None:
    script = "import sys, clusterdns.cli.check; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "click" in loaded
    assert not {"kubernetes_asyncio", "rich"} & set(loaded)
