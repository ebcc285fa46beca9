"""``peerwatt kubernetes``: manifests that run a scenario on a Kubernetes cluster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.manifests import as_yaml, check_members, emit, tell
from runtime.cli.prepare import prepare_run
from runtime.errors import InputError
from runtime.scenario.load import find_scenario, load_scenario
from runtime.wording import counted

MARK = "# Written by `peerwatt kubernetes`"
"""How every file written here begins."""

APPLY = "kubectl apply --server-side"
"""By default the client would write each Secret once more, into an annotation that holds 256 KiB at most."""

MAX_NAME_CHARACTERS = 12
"""Longest prefix of names: with ``-prosumer-MEMBER`` after it they have to stay within 63 characters."""


def kubernetes(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A scenario file, or the name of a built-in one.")
    ] = "example",
    out: Annotated[Path | None, typer.Option(help="Where to write the file (standard output).")] = None,
    name: Annotated[str | None, typer.Option(help="Prefix of all names (the scenario's).")] = None,
    image: Annotated[str, typer.Option(help="The image, where the cluster finds it.")] = "peerwatt",
    storage_class: Annotated[str | None, typer.Option(help="Of the volumes (the cluster's default).")] = None,
    storage: Annotated[str, typer.Option(help="Size of each volume.")] = "1Gi",
    outside: Annotated[
        str, typer.Option(help="HOST:PORT at which the server is reached from outside the cluster.")
    ] = "127.0.0.1:5222",
    runs: Annotated[Path, typer.Option(help="Folder that keeps certificates and secrets.")] = Path("runs"),
    data: Annotated[Path | None, typer.Option(help="Folder with the data that the scenario reads.")] = None,
    setting: Annotated[str | None, typer.Option(help="As for `run`; overrides the scenario.")] = None,
    remote: Annotated[
        list[str] | None, typer.Option(help="A member that runs elsewhere, by invitation.")
    ] = None,
    members_per_container: Annotated[int, typer.Option(help="Members that a container serves.")] = 1,
    xmpp_nodes: Annotated[
        int,
        typer.Option(
            min=1, max=16, help="Nodes of an ejabberd cluster that carries the community; 1: Prosody does."
        ),
    ] = 1,
    volumes: Annotated[
        bool,
        typer.Option(
            "--volumes",
            help="Write pods instead, by which members' volumes are read when the market is over.",
        ),
    ] = False,
) -> None:
    """Write Kubernetes manifests that run SCENARIO: jobs, XMPP server, secrets, volumes, policies.

    Certificates and secrets are made in RUNS first and are in the manifests: keep these secret too.
    """
    from runtime.deployment.kubernetes import Cluster, manifests, server_name
    from runtime.deployment.kubernetes_nodes import server_hosts
    from runtime.deployment.kubernetes_volumes import volume_pods
    from runtime.deployment.kubernetes_watching import FORWARDED
    from runtime.deployment.placement import placed

    path = find_scenario(scenario)
    loaded = load_scenario(path)
    members = [member.name for member in loaded.members]
    elsewhere = check_members(remote or [], members, "--remote")
    prefix = name or _prefix(path.stem)
    if len(prefix) > MAX_NAME_CHARACTERS or not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", prefix):
        raise InputError(
            f"--name: found {prefix!r}, expected at most {MAX_NAME_CHARACTERS} lower-case letters, digits "
            "and hyphens, a letter first"
        )
    run = runs / f"kubernetes-{prefix}"
    placement = placed(members_per_container, elsewhere)
    server = server_name(prefix)
    hosts = server_hosts(server, xmpp_nodes) if xmpp_nodes > 1 else [server]
    deployment = prepare_run(
        str(path),
        run,
        None,
        hosts[0],
        outside,
        data,
        setting,
        placement,
        hosts[1:],
        str(FORWARDED),
    )
    documents = manifests(deployment, Cluster(prefix, image, storage_class, storage, xmpp_nodes), elsewhere)
    if volumes:
        documents = volume_pods(documents)
    emit(as_yaml(MARK, loaded.community.name, documents), out, MARK)
    if volumes:
        return tell(
            out, f"{counted(len(documents), 'volume')} to read. Start it with: {APPLY} -f {out or 'FILE'}"
        )
    return tell(
        out, f"{counted(len(members) - len(elsewhere), 'member')}. Start it with: {APPLY} -f {out or 'FILE'}"
    )


def _prefix(stem: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", stem.lower()).lstrip("0123456789-")
    return plain[:MAX_NAME_CHARACTERS].rstrip("-") or "peerwatt"
