"""`clusterdns explain`: the cause of each seeded fault in one line, and the exit code."""

from pathlib import Path

import pytest
from cli.explain_faults import CLUSTER, FAULTS, LINES, ZONE_FILE, Fault
from program import Program


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    (tmp_path / "db.example").write_text(ZONE_FILE)
    return tmp_path


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_each_seeded_fault_is_named(program: Program, folder: Path, fault: Fault) -> None:
    (folder / "Corefile").write_text(LINES.replace("OPTIONS", fault.options))
    code, out, err = program("explain", "--conf", "Corefile", *fault.question.split())
    verdict = out.partition("\n")[0]
    assert err == ""
    assert verdict.startswith(fault.begins)
    assert fault.names in verdict
    assert code == fault.code
