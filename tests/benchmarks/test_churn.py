"""Answers while objects are created, updated, deleted and moved all the time, judged by a watch of the test's own."""

import argparse
from pathlib import Path

import pytest

from bench import churn
from bench.results import Figures
from bench.servers import OURS
from testing.controlplane import ControlPlane


@pytest.mark.peer("kube-apiserver")
def test_no_answer_is_wrong_under_churn(control_plane: ControlPlane, tmp_path: Path) -> None:
    options = argparse.Namespace(seconds=3.0, changes=60.0, seed=7)
    figures = Figures()
    wrong = churn.measure(control_plane.kubeconfig, tmp_path, (OURS,), options, figures)
    assert wrong == []
    assert figures.median("answers", OURS) > 100
    control_plane.delete("Namespace", churn.NAMESPACE)
