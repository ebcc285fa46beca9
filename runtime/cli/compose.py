"""``peerwatt compose``: a Docker Compose file that runs a scenario as a fleet of containers on Prosody."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Annotated, get_args

import typer

from runtime.cli.manifests import as_yaml, check_members, emit, tell
from runtime.cli.prepare import prepare_run
from runtime.configuration import Setting
from runtime.deployment.address import DOMAIN, Address
from runtime.deployment.containers import (
    AUDIT_DIR,
    DASHBOARD_PORT,
    HANDOUT,
    SIGNS_DIR,
    STORED_DIR,
    health_command,
    process_command,
    sign_command,
)
from runtime.deployment.holders import DASHBOARD, METERS
from runtime.deployment.placement import Placement, placed
from runtime.errors import InputError
from runtime.mechanisms import has_two_communities
from runtime.rundir import COORDINATOR, COORDINATORS
from runtime.scenario.load import BUILTIN, find_scenario, load_scenario
from runtime.signs_of_life import CONNECTED
from runtime.wording import counted

MARK = "# Written by `peerwatt compose`"
"""How every compose file written here begins: what begins so may be written over."""

STACK_MARK = "# Written by `peerwatt compose --stack`"
"""How every stack file written here begins."""

_TEMPLATE = Path(__file__).with_name("compose.yaml.template")
_PLAIN_SCALAR = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./-]*")
# What YAML reads as something else than text when it stands without quotes.
_NOT_TEXT = re.compile(r"(?i)y|n|yes|no|on|off|true|false|null|~|[-+.]?[0-9].*|[-+]?\.(inf|nan)")


@dataclass(frozen=True, slots=True)
class ContainerFleet:
    """What a compose file is written for.

    Attributes:
        community: its name, as people call it.
        members: names of all members.
        scenario: its file, or the name of a built-in one; the run is kept under this name.
        source: the software's source tree, from which the images are built.
        runs: folder on the host in which runs are kept.
        data: folder on the host with the data that the scenario reads, or None.
        setting: instead of the scenario's setting, or None.
        coordinators: their accounts; the first leads, and makes the report.
        placement: how members share containers, and who has none here.
    """

    community: str
    members: list[str]
    scenario: Path | str
    source: Path
    runs: Path
    data: Path | None = None
    setting: str | None = None
    coordinators: list[str] = field(default_factory=lambda: [COORDINATOR])
    placement: Placement = field(default_factory=Placement)


def scalar(text: str) -> str:
    """Write ``text`` as a YAML scalar in a flow list, safe from YAML's other types and Compose's ``$``."""
    text = text.replace("$", "$$")
    if _PLAIN_SCALAR.fullmatch(text) and not _NOT_TEXT.fullmatch(text):
        return text
    return json.dumps(text)


def render(fleet: ContainerFleet, out: Path) -> str:
    """Write a compose file as text.

    Args:
        fleet: what it runs.
        out: where it will be saved; paths in it are relative to this file's folder.

    Returns:
        The YAML text: the same for the same input, on every machine.

    Raises:
        InputError: a path contains what a compose file cannot hold.
    """
    here = out.resolve().parent
    prepare_command = ["sh", "/opt/peerwatt/fleet/prepare.sh"]
    inputs: list[str] = []
    if isinstance(fleet.scenario, Path):
        scenario = fleet.scenario.resolve()
        prepare_command.append(f"/scenario/{scenario.name}")
        inputs.append(_bind(scenario.parent, here, "/scenario"))
    else:
        prepare_command.append(fleet.scenario)
    if fleet.data is not None:
        prepare_command += ["--data", "/data"]
        inputs.append(_bind(fleet.data, here, "/data"))
    if fleet.setting is not None:
        prepare_command += ["--setting", fleet.setting]
    placement = fleet.placement
    if placement.members_per_container > 1:
        prepare_command += ["--members-per-container", str(placement.members_per_container)]
        prepare_command += [word for member in placement.elsewhere for word in ("--remote", member)]

    source, runs = _relative(fleet.source, here), _relative(fleet.runs, here)
    name = run_name(fleet.scenario)
    run = f"${{PEERWATT_RUN:-{name}}}"

    def mount(folder: str, inside: str | None = None, *, read_only: bool = False) -> str:
        """A folder of the run, as a quoted bind mount; at its own path in the container unless named."""
        under = f"{run}/{folder}" if folder else run
        return json.dumps(f"{runs}/{under}:{inside or f'/runs/{under}'}{':ro' if read_only else ''}")

    def handout(holder: str) -> str:
        return mount(f"deployment/handouts/{holder}", HANDOUT, read_only=True)

    served: dict[str, list[str]] = {coordinator: [] for coordinator in fleet.coordinators[1:]}
    elsewhere = {*placement.elsewhere}
    for holder, members in placement.prosumers(fleet.members).items():
        if not elsewhere.issuperset(members):
            served[holder] = members
    agents = "".join(
        f"\n  {holder}:\n    <<: *agent\n"
        f"    command: [{', '.join(_word(word) for word in process_command(holder, '*run', members))}]\n"
        f"    volumes:\n      - {mount('logs')}\n      - {mount('records')}\n      - {handout(holder)}\n"
        for holder, members in served.items()
    )
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        mark=MARK,
        community=" ".join(fleet.community.split()),
        results=f"{runs}/{name}",
        run=run,
        runs_mount=json.dumps(f"{runs}:/runs"),
        run_mount=mount(""),
        logs_mount=mount("logs"),
        server_mount=mount("deployment/server", HANDOUT, read_only=True),
        stored_mount=mount("deployment/stored", STORED_DIR),
        audit_mount=mount("server", AUDIT_DIR),
        coordinator_mount=handout(COORDINATOR),
        meters_mount=handout(METERS),
        coordinator_command=", ".join(_word(word) for word in process_command(COORDINATOR, "*run")),
        meters_command=", ".join(_word(word) for word in process_command(METERS, "*run")),
        deployment=json.dumps(f"/runs/{run}/deployment"),
        domain=DOMAIN,
        unlimited=scalar(" ".join(fleet.coordinators)),
        healthcheck=health_command(DOMAIN),
        context=scalar(source),
        prepare_command="[" + ", ".join(scalar(word) for word in prepare_command) + "]",
        inputs="".join(inputs),
        prosumers=agents,
        connected=json.dumps(sign_command(SIGNS_DIR / CONNECTED)),
        dashboard_logs_mount=mount("logs", read_only=True),
        dashboard_records_mount=mount("records", read_only=True),
        dashboard_members_mount=mount("config/members", read_only=True),
        dashboard_mount=handout(DASHBOARD),
        dashboard_port=DASHBOARD_PORT,
    )


def _word(word: str) -> str:
    return word if word == "*run" else scalar(word)


def run_name(scenario: Path | str, engine: str = "compose") -> str:
    """Name of the folder in which a fleet of containers keeps its run."""
    stem = scenario.stem if isinstance(scenario, Path) else scenario
    return f"{engine}-" + (re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "community")


def _relative(path: Path, here: Path) -> str:
    relative = Path(os.path.relpath(path.resolve(), here)).as_posix()
    if ":" in relative or "$" in relative:
        raise InputError(f"{path}: found ':' or '$' in the path, which a compose file cannot hold; rename it")
    # Compose takes what does not begin with a dot for the name of a volume.
    return relative if relative.startswith(".") else f"./{relative}"


def _bind(folder: Path, here: Path, target: str) -> str:
    return f"\n      - {json.dumps(f'{_relative(folder, here)}:{target}:ro')}"


def source_tree(given: Path | None) -> Path:
    """Return the source tree to build images from: the one given, or the one this software runs from.

    Raises:
        InputError: it is none.
    """
    root = given or Path(__file__).resolve().parents[2]
    if not (root / "docker" / "Dockerfile").is_file():
        found = f"{root} has no docker/Dockerfile" if given else "this installation has no source tree"
        raise InputError(f"--source: {found}; expected a checkout of the software, to build images from")
    return root


def compose(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A scenario file, or the name of a built-in one.")
    ] = "example",
    out: Annotated[Path | None, typer.Option(help="Where to write the file (standard output).")] = None,
    runs: Annotated[Path, typer.Option(help="Folder on this machine that keeps the results.")] = Path("runs"),
    source: Annotated[
        Path | None, typer.Option(help="Source tree to build the image from (default: this installation's).")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the data that the scenario reads.")] = None,
    setting: Annotated[str | None, typer.Option(help="As for `run`; overrides the scenario.")] = None,
    remote: Annotated[
        list[str] | None, typer.Option(help="A member that runs on a host of its own, by invitation.")
    ] = None,
    members_per_container: Annotated[int, typer.Option(help="Members that a container serves.")] = 1,
    swarm: Annotated[bool, typer.Option("--stack", help="Write a stack for `docker stack deploy`.")] = False,
    nodes: Annotated[str | None, typer.Option(help="With --stack: the swarm's nodes, by commas.")] = None,
    image: Annotated[str, typer.Option(help="With --stack: the image, where nodes find it.")] = "peerwatt",
    outside: Annotated[
        str, typer.Option(help="With --stack: HOST:PORT at which the server is reached from outside.")
    ] = "127.0.0.1:5222",
    dashboard_port: Annotated[
        int | None,
        typer.Option(help="With --stack: a dashboard at this port of the first node, for who has its token."),
    ] = None,
    xmpp_nodes: Annotated[
        int,
        typer.Option(
            min=1,
            max=16,
            help="With --stack: nodes of an ejabberd cluster that carries the community; 1: Prosody does.",
        ),
    ] = 1,
) -> None:
    """Write a Docker Compose file that runs SCENARIO, one container for each member, on Prosody.

    With --stack, a Docker Swarm stack over several hosts; certificates and secrets are made in RUNS first.
    """
    path = find_scenario(scenario)
    loaded = load_scenario(path)
    if setting is not None and setting not in get_args(Setting):
        raise InputError(f"--setting: found {setting!r}, expected one of {', '.join(get_args(Setting))}")
    if data is not None and not data.is_dir():
        raise InputError(f"--data: {data}: expected a folder")
    members = [member.name for member in loaded.members]
    elsewhere = check_members(remote or [], members, "--remote")
    placement = placed(members_per_container, elsewhere)
    here = [member for member in members if member not in elsewhere]
    kept_as = path.stem if path.parent == BUILTIN else path
    for option, given in (("--nodes", nodes), ("--dashboard-port", dashboard_port)):
        if given is not None and not swarm:
            raise InputError(f"{option}: found {given} without --stack, which it is for")
    if xmpp_nodes > 1 and not swarm:
        raise InputError(
            f"--xmpp-nodes: found {xmpp_nodes} without --stack, expected 1: a compose file is of one host, "
            "where one server does; several nodes are for --stack or `peerwatt kubernetes`"
        )
    if swarm:
        from runtime.deployment.stack import stack
        from runtime.deployment.stack_nodes import server_hosts

        hosts = server_hosts(xmpp_nodes) if xmpp_nodes > 1 else [DOMAIN]
        run = runs / run_name(kept_as, "stack")
        watched = None
        if dashboard_port is not None:
            watched = str(Address(Address.parse(outside, "--outside").host, dashboard_port))
        deployment = prepare_run(
            str(path), run, None, hosts[0], outside, data, setting, placement, hosts[1:], watched
        )
        content = stack(
            deployment, out or Path("stack.yaml"), image, _named(nodes), elsewhere, dashboard_port, xmpp_nodes
        )
        emit(as_yaml(STACK_MARK, loaded.community.name, [content]), out, STACK_MARK)
        tell(
            out, f"{counted(len(here), 'member')}. Start it with: docker stack deploy -c {out or 'FILE'} NAME"
        )
        return
    coordinators = [COORDINATOR]
    if has_two_communities(loaded.mechanism.name) and (setting or loaded.setting) == "community":
        coordinators = [*COORDINATORS]
    fleet = ContainerFleet(
        community=loaded.community.name,
        members=members,
        scenario=kept_as,
        source=source_tree(source),
        runs=runs,
        data=data,
        setting=setting,
        coordinators=coordinators,
        placement=placement,
    )
    emit(render(fleet, out or Path("compose.yaml")), out, MARK)
    tell(out, f"{counted(len(here), 'member')}. Start it with: docker compose -f {out or 'FILE'} up")


def _named(nodes: str | None) -> list[str]:
    return [node.strip() for node in (nodes or "").split(",") if node.strip()]
