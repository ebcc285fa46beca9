"""Where a run keeps its files, and which accounts it has; the one place that knows the names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import ProtocolError

COORDINATOR = "coordinator"
"""Local part of the coordinator's account."""

SECOND_COORDINATOR = "coordinator2"
"""Local part of the account of the second coordinator, where a run has two communities."""

COORDINATORS = (COORDINATOR, SECOND_COORDINATOR)

INSPECTOR = "inspector"
"""Local part of the account of whoever watches a running fleet."""

RESERVED_NAMES = frozenset({*COORDINATORS, INSPECTOR})
"""Names that no member may have."""


def meter_account(member: str) -> str:
    """Local part of the account of a member's built-in (simulated) meter."""
    return f"{member}.meter"


METERS_PER_MEMBER = 5
"""Each member has accounts for so many meters: its built-in one, which reads all that the scenario declares,
and four that may be attached while the fleet runs, one for each role."""


def attached_meter_account(member: str, number: int = 2) -> str:
    """Local part of the account of a member's further meter, ``number`` from 2 to ``METERS_PER_MEMBER``."""
    return f"{member}.meter{number}"


def controller_account(member: str) -> str:
    """Local part of the account of whoever writes set-points to a member's battery."""
    return f"{member}.controller"


def meter_accounts(member: str) -> list[str]:
    """Local parts of the accounts of a member's meters: the built-in one first."""
    further = range(2, METERS_PER_MEMBER + 1)
    return [meter_account(member), *(attached_meter_account(member, number) for number in further)]


def check_meters_of(member: str, accounts: Iterable[str]) -> None:
    """Check that accounts are those of a member's meters.

    Raises:
        ProtocolError: one is not.
    """
    for account in accounts:
        if account not in meter_accounts(member):
            raise ProtocolError(f"meters: found {account!r}, expected accounts of {member}'s own")


def accounts_of(members: list[str], coordinators: Sequence[str] = (COORDINATOR,)) -> list[str]:
    """Local parts of all accounts of a run, in a fixed order."""
    accounts = [*coordinators, INSPECTOR]
    for member in members:
        accounts += [member, *meter_accounts(member), controller_account(member)]
    return accounts


@dataclass(frozen=True)
class RunDirectory:
    """The folder of one run.

    Attributes:
        path: the folder itself, for example ``runs/example``.
        handout: folder with a process's connection and configuration, where it is handed these alone;
            None where processes read them in the run's folder.
    """

    path: Path
    handout: Path | None = None

    @property
    def scenario_toml(self) -> Path:
        """The scenario as it was run, byte for byte."""
        return self.path / "scenario.toml"

    @property
    def run_json(self) -> Path:
        """Name, seed, setting, versions, digest of the scenario, where its series came from."""
        return self.path / "run.json"

    @property
    def lock(self) -> Path:
        """Held by the process that supervises the run's fleet."""
        return self.path / "run.lock"

    @property
    def connection_json(self) -> Path:
        """How agents reach the XMPP server of this run."""
        return (self.handout or self.path) / "connection.json"

    @property
    def config_dir(self) -> Path:
        """What each process is told."""
        return (self.handout or self.path) / "config"

    @property
    def coordinator_config(self) -> Path:
        """``CoordinatorConfig`` as JSON."""
        return self.config_dir / "coordinator.json"

    def member_config(self, name: str) -> Path:
        """``MemberConfig`` of one member as JSON."""
        return self.config_dir / "members" / f"{name}.json"

    @property
    def meters_config(self) -> Path:
        """``MetersConfig`` as JSON."""
        return self.config_dir / "meters.json"

    @property
    def packing_config(self) -> Path:
        """How many members share a process as JSON; not there where each has its own."""
        return self.config_dir / "packing.json"

    @property
    def server_config(self) -> Path:
        """Which XMPP server the run is on as JSON; not there where it is the embedded one."""
        return self.config_dir / "xmpp.json"

    @property
    def accounts_json(self) -> Path:
        """Local parts of the accounts to be made beforehand, a JSON list."""
        return self.config_dir / "accounts.json"

    @property
    def deployment_dir(self) -> Path:
        """Certificates, accounts' secrets, and what each container is handed of them."""
        return self.path / "deployment"

    @property
    def server_dir(self) -> Path:
        """Files of the XMPP server: of the run's own, or what it takes to reach one that others run."""
        return self.path / "server"

    @property
    def logs_dir(self) -> Path:
        """Message logs, one file per agent."""
        return self.path / "logs"

    def log(self, agent: str) -> Path:
        """Message log of the agent with this local part."""
        return self.logs_dir / f"{agent}.jsonl"

    @property
    def records_dir(self) -> Path:
        """What each agent keeps of its own session, for the results."""
        return self.path / "records"

    @property
    def coordinator_record(self) -> Path:
        """The coordinator's own record."""
        return self.records_dir / "coordinator.json"

    @property
    def communities_dir(self) -> Path:
        """The records of two communities' coordinators; not there where all members are in one."""
        return self.records_dir / "communities"

    def community_record(self, coordinator: str) -> Path:
        """The record of one of two communities, by its coordinator's account."""
        return self.communities_dir / f"{coordinator}.json"

    def member_record(self, name: str) -> Path:
        """One member's own record."""
        return self.records_dir / "members" / f"{name}.json"

    def closed_dir(self, coordinator: str = COORDINATOR) -> Path:
        """What a coordinator keeps of each closed session, for who bills while the run goes on."""
        return self.records_dir / "closed" / coordinator

    def begun_record(self, coordinator: str = COORDINATOR) -> Path:
        """A coordinator's record as the first session begins: who takes part, and no session yet."""
        return self.closed_dir(coordinator) / "begun.json"

    @property
    def statements_dir(self) -> Path:
        """Members' bills by calendar month."""
        return self.path / "statements"

    @property
    def figures_dir(self) -> Path:
        """Pictures of the run."""
        return self.path / "figures"

    @property
    def ledger_csv(self) -> Path:
        """Settled energy and money by member and slot, exact decimals."""
        return self.path / "ledger.csv"

    @property
    def bills_csv(self) -> Path:
        """Bill of each member."""
        return self.path / "bills.csv"

    @property
    def bills_html(self) -> Path:
        """All members' bills on one page, which leads to their own."""
        return self.path / "bills.html"

    def bill_html(self, member: str) -> Path:
        """One member's bill as a page."""
        return self.path / "bills" / f"{member}.html"

    @property
    def indicators_json(self) -> Path:
        """Indicators of the community and of each member."""
        return self.path / "indicators.json"

    @property
    def results_sqlite(self) -> Path:
        """All tables of the run in one database."""
        return self.path / "results.sqlite"
