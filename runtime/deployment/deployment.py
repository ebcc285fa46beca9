"""A deployment of a run: its authority, its server's files, and a handout for each process.

``RUN/deployment/`` holds::

    authority/            ca.pem, ca.key.pem, server.pem, server.key.pem
    operator/             ca.pem, secrets/ of all accounts: for whoever runs the deployment
    server/               what the XMPP server is handed: ca.pem, server.pem, server.key.pem, accounts.json
    handouts/HOLDER/      what a process is handed: connection.json, ca.pem, secrets/ of its accounts, config/
    handouts/dashboard/   token, which the dashboard asks for
    dashboard             HOST:PORT at which the dashboard is reached, if there is one
    placement.json        how members share containers
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.configuration import CoordinatorConfig, MetersConfig
from runtime.deployment.address import Address
from runtime.deployment.holders import DASHBOARD, METERS, accounts_by_holder
from runtime.deployment.placement import Placement
from runtime.deployment.verifiers import changed_verifiers
from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.messaging.connection import Connection
from runtime.messaging.secrets import ensure_secrets, new_secret, read_secret, write_secret
from runtime.rundir import RunDirectory
from runtime.xmpp.accounts import load_accounts
from runtime.xmpp.authority import ensure_credentials


@dataclass(frozen=True, slots=True)
class Deployment:
    """The files of one deployment.

    Attributes:
        run: the run that it is of.
    """

    run: RunDirectory

    @property
    def path(self) -> Path:
        """The folder of all of them."""
        return self.run.deployment_dir

    @property
    def authority_dir(self) -> Path:
        """The private authority and the server's certificate."""
        return self.path / "authority"

    @property
    def operator_dir(self) -> Path:
        """What whoever runs the deployment connects with."""
        return self.path / "operator"

    @property
    def secrets_dir(self) -> Path:
        """Secrets of all accounts, one file each."""
        return self.operator_dir / "secrets"

    @property
    def server_dir(self) -> Path:
        """What the XMPP server is handed."""
        return self.path / "server"

    @property
    def server_accounts(self) -> Path:
        """SCRAM verifiers by account; the server reads them at each login."""
        return self.server_dir / "accounts.json"

    @property
    def dashboard_token(self) -> Path:
        """What the deployment's dashboard asks for; handed to its container."""
        return self.handout(DASHBOARD) / "token"

    def dashboard_url(self) -> str:
        """Where the deployment's dashboard is reached, with the token that it asks for now.

        Raises:
            InputError: there is no deployment here, or it has no dashboard.
        """
        self._check_made()
        if not self._dashboard_address.is_file():
            raise InputError(
                f"{self.path}: this deployment has no dashboard (a stack has one with --dashboard-port); "
                f"`peerwatt dashboard {self.run.path}` serves one here"
            )
        address = self._dashboard_address.read_text(encoding="utf-8").strip()
        token = read_secret(self.dashboard_token.parent, self.dashboard_token.name)
        return f"http://{address}/?token={token}"

    @property
    def _dashboard_address(self) -> Path:
        return self.path / "dashboard"

    @property
    def _placement_json(self) -> Path:
        return self.path / "placement.json"

    def handout(self, holder: str) -> Path:
        """Folder that a process of the fleet is handed."""
        return self.path / "handouts" / holder

    def members(self) -> list[str]:
        """Names of the members.

        Raises:
            InputError: the run is not prepared.
        """
        try:
            members: list[str] = json.loads(self.run.run_json.read_bytes())["members"]
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{self.run.run_json}: expected a prepared run: {error}") from error
        return members

    def coordinators(self) -> list[str]:
        """Accounts of the run's coordinators; of two, the one that leads comes first.

        Raises:
            InputError: the run is not prepared.
        """
        return CoordinatorConfig.load(self.run.coordinator_config).coordinators

    def accounts(self) -> list[str]:
        """Local parts of all accounts.

        Raises:
            InputError: the run is not prepared.
        """
        return load_accounts(self.run.accounts_json)

    def prosumers(self) -> dict[str, list[str]]:
        """Processes that serve members, by holder, each with its members.

        Raises:
            InputError: the run is not prepared, or its placement is damaged.
        """
        return Placement.kept_in(self._placement_json).prosumers(self.members())

    def holders(self) -> dict[str, list[str]]:
        """Accounts by the process that holds them."""
        meters = MetersConfig.load(self.run.meters_config).meters
        steered = [meter.member for meter in meters if meter.setpoint is not None]
        return accounts_by_holder(self.coordinators(), self.prosumers(), steered)

    def outside(self) -> Connection:
        """The connection as the operator sees it, from outside the fleet.

        Raises:
            InputError: there is no deployment here.
        """
        self._check_made()
        return Connection.load(self.run.connection_json)

    def make(
        self,
        domain: str,
        inside: Address,
        outside: Address,
        placement: Placement | None = None,
        further_hosts: Sequence[str] = (),
        dashboard: Address | None = None,
    ) -> None:
        """Make what is missing, keep what is there, and hand out anew.

        Args:
            domain: of all JIDs.
            inside: where the fleet's processes reach the server.
            outside: where the operator and other hosts reach it.
            placement: how members share containers; one each if None.
            further_hosts: where else the fleet's processes reach it, at the same port (a server of several
                nodes).
            dashboard: where the operator reaches the dashboard; None: there is none.

        Raises:
            InputError: the run is not prepared, or a file is there that cannot be used.
        """
        accounts = self.accounts()
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        (placement or Placement()).save(self._placement_json)
        credentials = ensure_credentials(self.authority_dir, domain)
        ensure_secrets(self.secrets_dir, accounts)
        _keep_only(self.secrets_dir, accounts)
        for folder in (self.operator_dir, self.server_dir):
            _copy(credentials.ca_file, folder / "ca.pem", 0o644)
        _copy(credentials.certificate_file, self.server_dir / "server.pem", 0o644)
        _copy(credentials.key_file, self.server_dir / "server.key.pem", 0o600)
        Connection(
            domain=domain,
            host=outside.host,
            port=outside.port,
            ca_file=(self.operator_dir / "ca.pem").relative_to(self.run.path),
            secrets_dir=self.secrets_dir.relative_to(self.run.path),
        ).save(self.run.connection_json)
        handed = Connection(
            domain=domain,
            host=inside.host,
            port=inside.port,
            ca_file=Path("ca.pem"),
            secrets_dir=Path("secrets"),
            further_hosts=tuple(further_hosts),
            secrets_may_change=True,
        )
        for holder in self.holders():
            folder = self.handout(holder)
            _copy(credentials.ca_file, folder / "ca.pem", 0o644)
            handed.save(folder / "connection.json")
            for config in self._configs(holder):
                _copy(config, folder / config.relative_to(self.run.path), 0o644)
        _keep_only(self.path / "handouts", [*self.holders(), DASHBOARD])
        if not self.dashboard_token.exists():
            self.rotate_dashboard_token()
        if dashboard is not None:
            write_text_atomically(self._dashboard_address, f"{dashboard}\n")
        else:
            self._dashboard_address.unlink(missing_ok=True)
        self.hand_out_secrets()

    def hand_out_secrets(self) -> None:
        """Give each process the secrets of its accounts, and then the server the verifiers of all.

        In this order, since the server ends the sessions of changed accounts, which log in again at once.
        """
        secret_of = {account: read_secret(self.secrets_dir, account) for account in self.accounts()}
        verifiers = changed_verifiers(self.server_accounts, secret_of)
        for holder, accounts in self.holders().items():
            folder = self.handout(holder) / "secrets"
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            for account in accounts:
                if not _says(folder / account, secret_of[account]):
                    write_secret(folder, account, secret_of[account])
            _keep_only(folder, accounts)
        if verifiers is not None:
            write_text_atomically(self.server_accounts, verifiers, 0o600)

    def rotate(self, accounts: Sequence[str]) -> None:
        """Change accounts' secrets; the server ends their sessions, and the agents log in with the new ones.

        Args:
            accounts: local parts.

        Raises:
            InputError: there is no deployment here, or no such account.
        """
        self._check_made()
        known = self.accounts()
        for account in accounts:
            if account not in known:
                raise InputError(
                    f"{self.run.path}: found no account {account!r}, expected one of {', '.join(known)}"
                )
        for account in accounts:
            write_secret(self.secrets_dir, account, new_secret())
        self.hand_out_secrets()

    def rotate_dashboard_token(self) -> None:
        """Change what the dashboard asks for; it reads the new one at the next request."""
        write_secret(self.dashboard_token.parent, self.dashboard_token.name, new_secret())

    def _check_made(self) -> None:
        for folder in (self.path, self.operator_dir, self.secrets_dir):  # each is looked into by the next
            if not folder.is_dir():
                raise InputError(f"{self.path}: no deployment is here; `peerwatt prepare` makes one")
            if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
                raise InputError(
                    f"{folder}: cannot be read: it belongs to user {folder.stat().st_uid}, "
                    f"this is user {os.geteuid()}"
                )

    def _configs(self, holder: str) -> list[Path]:
        """Files of the run's ``config/`` that a process reads."""
        if holder in self.coordinators():
            return [self.run.coordinator_config]
        if holder == METERS:
            return [self.run.meters_config]
        return [self.run.member_config(member) for member in self.prosumers()[holder]]


def _says(path: Path, secret: str) -> bool:
    return path.exists() and read_secret(path.parent, path.name) == secret


def _copy(source: Path, target: Path, mode: int) -> None:
    if target.exists() and target.read_bytes() == source.read_bytes():
        return
    write_text_atomically(target, source.read_text(encoding="utf-8"), mode)


def _keep_only(folder: Path, names: Sequence[str]) -> None:
    for path in folder.iterdir():
        if path.name not in names:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
