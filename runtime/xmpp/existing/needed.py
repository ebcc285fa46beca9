"""Which accounts a run logs in with."""

from __future__ import annotations

from runtime.configuration import CoordinatorConfig, MetersConfig
from runtime.rundir import RunDirectory, accounts_of, controller_account, meter_account


def needed_accounts(coordinator: CoordinatorConfig, meters: MetersConfig) -> list[str]:
    """Accounts of a run's own processes: coordinators, members, built-in meters, its own controllers.

    Those of the inspector and of meters and controllers that are attached later are not among them.
    """
    accounts = [*coordinator.coordinators, *coordinator.members]
    accounts += [meter_account(meter.member) for meter in meters.meters]
    return accounts + [controller_account(each.member) for each in meters.meters if each.setpoint is not None]


def known_accounts(coordinator: CoordinatorConfig) -> list[str]:
    """All accounts that a run can have."""
    return accounts_of(coordinator.members, coordinator.coordinators)


def needed_by(directory: RunDirectory) -> list[str]:
    """Accounts that a configured run logs in with.

    Raises:
        InputError: it is not configured.
    """
    return needed_accounts(
        CoordinatorConfig.load(directory.coordinator_config), MetersConfig.load(directory.meters_config)
    )
