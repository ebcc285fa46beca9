"""Docker's own reading of the stack files that `peerwatt compose --stack` writes; no engine is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from engine import check_tools, outcome, peerwatt, run

pytestmark = pytest.mark.docker


@pytest.mark.parametrize("nodes", [1, 3])
def test_docker_takes_a_stack_with_nodes_of_the_server(source: Path, tmp_path: Path, nodes: int) -> None:
    check_tools()
    file = tmp_path / "stack.yaml"
    options = ("--out", file, "--runs", tmp_path / "runs", "--dashboard-port", "8800")
    peerwatt(source, "compose", "example", "--stack", "--xmpp-nodes", str(nodes), *options)
    # Nothing is left out, as engines do with what they do not know.
    read = yaml.safe_load(run("docker", "stack", "config", "-c", file, timeout_s=30))
    written = yaml.safe_load(file.read_text())
    assert {*read["services"]} == {*written["services"]}
    for name, service in written["services"].items():
        assert {*service} <= {*read["services"][name]}, name
        assert {*service["deploy"]} <= {*read["services"][name]["deploy"]}, name
    assert {*read["networks"]} == {*written["networks"]}
    assert {*read["volumes"]} == {*written["volumes"]}

    server = written["services"]["xmpp" if nodes == 1 else "xmpp-2"]
    server["restart_polizy"] = "any"
    file.write_text(yaml.safe_dump(written))
    refused = outcome("docker", "stack", "config", "-c", file, timeout_s=30)
    assert refused.returncode != 0
    assert "restart_polizy" in refused.stderr
