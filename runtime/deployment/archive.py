"""What was prepared of a run, as one file: for a coordinator that shares no folder with who prepared it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from runtime.deployment.deployment import Deployment
from runtime.files import write_bytes_atomically

RUN_ARCHIVE = "run.tar.gz"
"""Name of the file, in the deployment's folder and in the coordinator's handout."""


def archive_run(deployment: Deployment) -> Path:
    """Pack configuration, scenario and ``run.json``; the same bytes for the same content."""
    buffer = io.BytesIO()
    run = deployment.run
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=9) as archive:
        for path in [run.run_json, run.scenario_toml, *sorted(run.config_dir.rglob("*.json"))]:
            info = tarfile.TarInfo(str(path.relative_to(run.path)))
            info.size = path.stat().st_size
            with path.open("rb") as content:
                archive.addfile(info, content)
    target = deployment.path / RUN_ARCHIVE
    packed = bytearray(buffer.getvalue())
    packed[4:8] = bytes(4)  # the time in gzip's header (RFC 1952 section 2.3)
    write_bytes_atomically(target, bytes(packed))
    return target
