"""A member's invitation: one file with all that its agent needs on another host."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from runtime.configuration import MemberConfig, MetersConfig
from runtime.deployment.address import Address
from runtime.deployment.deployment import Deployment
from runtime.deployment.holders import accounts_of_member
from runtime.errors import InputError
from runtime.files import write_text_atomically
from runtime.handed_file import HandedFile
from runtime.messaging.connection import Connection
from runtime.messaging.secrets import read_secret, write_secret
from runtime.rundir import RunDirectory


class Invitation(HandedFile):
    """What a member is sent; who has it can be this member and nobody else.

    Attributes:
        format: of the file.
        secrets: by account: the member's own, and its attached meters'.
        config: what its prosumer process is told.
        meters: what its meters are told.
    """

    KIND = "invitation"

    format: Literal["peerwatt-invitation/1"] = "peerwatt-invitation/1"
    secrets: dict[str, str] = Field(repr=False)
    config: MemberConfig
    meters: MetersConfig


def invitation(deployment: Deployment, member: str, address: Address) -> Invitation:
    """Write out what a member needs to run its own agent.

    Args:
        deployment: of the run that it is a member of.
        member: its name.
        address: where the member's host reaches the server.

    Raises:
        InputError: there is no deployment, or no such member.
    """
    outside = deployment.outside()
    accounts = accounts_of_member(member, deployment.accounts(), deployment.members())
    meters = MetersConfig.load(deployment.run.meters_config)
    own = [meter for meter in meters.meters if meter.member == member]
    return Invitation(
        domain=outside.domain,
        host=address.host,
        port=address.port,
        ca_pem=outside.ca_file.read_text(encoding="ascii"),
        secrets={account: read_secret(deployment.secrets_dir, account) for account in accounts},
        config=MemberConfig.load(deployment.run.member_config(member)),
        meters=meters.model_copy(update={"meters": own}),
    )


def accept(invited: Invitation, directory: RunDirectory) -> None:
    """Lay out a run's folder for the one member that was invited; secrets that are there are replaced.

    Raises:
        InputError: the folder holds another member's run, or cannot be written.
    """
    config = directory.member_config(invited.config.name)
    others = [path.stem for path in config.parent.glob("*.json") if path != config]
    if others:
        raise InputError(
            f"{directory.path}: found a run of {', '.join(others)}, expected {invited.config.name}'s"
        )
    connection = Connection(
        domain=invited.domain,
        host=invited.host,
        port=invited.port,
        ca_file=Path("ca.pem"),
        secrets_dir=Path("secrets"),
    )
    try:
        write_text_atomically(directory.path / connection.ca_file, invited.ca_pem)
        folder = directory.path / connection.secrets_dir
        folder.mkdir(mode=0o700, exist_ok=True)
        for account, secret in invited.secrets.items():
            write_secret(folder, account, secret)
        invited.config.save(config)
        invited.meters.save(directory.meters_config)
        connection.save(directory.connection_json)
    except OSError as error:
        raise InputError(f"{directory.path}: cannot be written: {error.strerror}") from error
