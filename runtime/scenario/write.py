"""What the processes of a run are told, written into the run's folder."""

from __future__ import annotations

import json
from importlib.metadata import version

from runtime.configured import CONFIG_DIGESTS, VERSION, config_digests
from runtime.files import write_text_atomically
from runtime.rundir import RunDirectory, accounts_of
from runtime.scenario.resolved import ResolvedScenario


def write_configs(resolved: ResolvedScenario, run_dir: RunDirectory) -> None:
    """Write what every process of a run is told, the accounts, a copy of the scenario, and ``run.json``."""
    run_dir.path.mkdir(parents=True, exist_ok=True)
    resolved.coordinator_config().save(run_dir.coordinator_config)
    for name in resolved.members:
        resolved.member_config(name).save(run_dir.member_config(name))
    resolved.meters_config().save(run_dir.meters_config)
    accounts = accounts_of(resolved.members, resolved.coordinator_config().coordinators)
    write_text_atomically(run_dir.accounts_json, json.dumps(accounts, indent=1) + "\n")
    write_text_atomically(run_dir.scenario_toml, resolved.content.decode("utf-8"))
    summary = {
        "scenario": resolved.name,
        "community": resolved.scenario.community.name,
        "setting": resolved.setting,
        "mechanism": resolved.coordinator_config().mechanism,
        "seed": resolved.scenario.seed,
        "members": resolved.members,
        "sessions": [horizon.model_dump(mode="json") for horizon in resolved.operated_horizons],
        "scenario_sha256": resolved.sha256,
        VERSION: version("peerwatt"),
        CONFIG_DIGESTS: config_digests(run_dir),
        "export_above_import_slots": resolved.export_above_import_slots(),
        "series": resolved.provenance,
    }
    write_text_atomically(run_dir.run_json, json.dumps(summary, indent=1) + "\n")
