"""One node of ejabberd: what it is told, the files made of that, and the command that runs it."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from runtime.errors import InputError
from runtime.files import write_text_atomically

COOKIE_FILE = "cookie"
"""In the handout of a cluster's nodes: what they know each other by."""

NODES_PORT = 5210
"""Where the nodes of a cluster reach each other."""

WITH_PARENT = "--with-parent"
"""Argument of a node that is to end when the process does whose id comes after it, which started it."""

LIBRARIES = Path("/usr/lib")
"""Below it, in a folder of the machine's architecture, is Debian's ejabberd."""

_LEVELS = {"debug": "debug", "info": "info", "warn": "warning", "warning": "warning", "error": "error"}


_FORWARDED = ("PATH", "LANG", "LC_ALL", "TZ")


@dataclass(frozen=True)
class Node:
    """What a node of the server is told; the environment has each as ``PEERWATT_…``.

    Attributes:
        domain: of all JIDs (``DOMAIN``).
        handout: folder with ca.pem, server.pem, server.key.pem and accounts.json; of a cluster's nodes also
            cookie (``HANDOUT``: /run/peerwatt).
        data: folder for what waits for agents that are away (``DATA``: /var/lib/peerwatt).
        audit: file of the server's own record of messages (``AUDIT``: /var/log/peerwatt/messages.jsonl, or
            none).
        work: folder for files made at each start; private (``WORK``: /tmp/ejabberd).
        interface: address to listen on (``INTERFACE``: 0.0.0.0; ``::`` for IPv6 too).
        port: for clients (``XMPP_PORT``: 5222).
        unlimited: accounts without a rate limit (``UNLIMITED``, by spaces: coordinator).
        log_level: least important level to log (``XMPP_LOG``: info).
        name: of this node, ``ejabberd@HOST`` with a host that the other nodes find; empty without a cluster
            (``NODE``).
        nodes: names of all nodes of the cluster, this one among them (``NODES``, by spaces).
        nodes_port: at which nodes reach each other, the same for all (``NODES_PORT``: 5210).
        nodes_interface: address to listen on for other nodes (``NODES_INTERFACE``; all).
        nodes_silence_s: a node that others have not heard of for so long is given up, a quarter more or less
            (``NODES_SILENCE_S``: 12) [s].
    """

    domain: str
    handout: Path = Path("/run/peerwatt")
    data: Path = Path("/var/lib/peerwatt")
    audit: Path | None = Path("/var/log/peerwatt/messages.jsonl")
    work: Path = Path("/tmp/ejabberd")
    interface: str = "0.0.0.0"
    port: int = 5222
    unlimited: tuple[str, ...] = ("coordinator",)
    log_level: str = "info"
    name: str = ""
    nodes: tuple[str, ...] = ()
    nodes_port: int = NODES_PORT
    nodes_interface: str = ""
    nodes_silence_s: int = 12

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Node:
        """Read ``PEERWATT_…`` variables; empty ones are as if they were not there.

        Raises:
            InputError: one is missing, or is not what it should be.
        """
        found = {
            name.removeprefix("PEERWATT_"): value
            for name, value in variables.items()
            if name.startswith("PEERWATT_") and value
        }
        if "DOMAIN" not in found:
            raise InputError("PEERWATT_DOMAIN is not set: expected the domain of all JIDs")
        nodes = tuple(found.get("NODES", "").split())
        name = found.get("NODE", "")
        if nodes and name not in nodes:
            raise InputError(
                f"PEERWATT_NODE: found {name!r}, expected one of PEERWATT_NODES: {', '.join(nodes)}"
            )
        level = found.get("XMPP_LOG", cls.log_level)
        if level not in _LEVELS:
            raise InputError(f"PEERWATT_XMPP_LOG: found {level!r}, expected one of {', '.join(_LEVELS)}")
        return cls(
            domain=found["DOMAIN"],
            handout=Path(found.get("HANDOUT", cls.handout)),
            data=Path(found.get("DATA", cls.data)),
            audit=None if found.get("AUDIT") == "none" else Path(found.get("AUDIT", str(cls.audit))),
            work=Path(found.get("WORK", cls.work)),
            interface=found.get("INTERFACE", cls.interface),
            port=_whole_number(found, "XMPP_PORT", cls.port, 1, 65535),
            unlimited=tuple(found["UNLIMITED"].split()) if "UNLIMITED" in found else cls.unlimited,
            log_level=_LEVELS[level],
            name=name if nodes else "",
            nodes=nodes,
            nodes_port=_whole_number(found, "NODES_PORT", cls.nodes_port, 1, 65535),
            nodes_interface=found.get("NODES_INTERFACE", ""),
            nodes_silence_s=_whole_number(found, "NODES_SILENCE_S", cls.nodes_silence_s, 4, 3600),
        )

    def environment(self) -> dict[str, str]:
        """What ``from_environment`` reads this node from again."""
        told = {
            "DOMAIN": self.domain,
            "HANDOUT": self.handout,
            "DATA": self.data,
            "AUDIT": self.audit or "none",
            "WORK": self.work,
            "INTERFACE": self.interface,
            "XMPP_PORT": self.port,
            "UNLIMITED": " ".join(self.unlimited),
            "XMPP_LOG": self.log_level,
            "NODE": self.name,
            "NODES": " ".join(self.nodes),
            "NODES_PORT": self.nodes_port,
            "NODES_INTERFACE": self.nodes_interface,
            "NODES_SILENCE_S": self.nodes_silence_s,
        }
        return {f"PEERWATT_{name}": str(value) for name, value in told.items()}

    def prepare(self) -> list[str]:
        """Make the files of a start and return the command that runs the node.

        Raises:
            InputError: ejabberd is not installed, or something that was to be handed is not there.
        """
        libraries = installed_libraries()
        self.work.mkdir(parents=True, exist_ok=True)
        self.work.chmod(0o700)
        write_text_atomically(self.work / "ejabberd.yml", self.configuration(), 0o600)
        modules = compile_modules(self.work / "modules", libraries)
        self.data.mkdir(parents=True, exist_ok=True)
        command = [_erl(), "+K", "true", "+P", "250000", "+Q", "65536", *_QUIET_SCHEDULERS, "-noinput"]
        command += ["-pa", str(modules), "-mnesia", "dir", json.dumps(str(self.data / "mnesia"))]
        if self.nodes:
            command += self._joined()
        return [*command, "-s", "peerwatt_cluster"]

    def variables(self) -> dict[str, str]:
        """Environment of the command."""
        return {
            **{name: os.environ[name] for name in _FORWARDED if name in os.environ},
            **self.environment(),
            "HOME": str(self.work),
            "ERL_LIBS": str(installed_libraries()),
            "ERL_CRASH_DUMP_BYTES": "0",  # a dump would hold secrets of sessions
            "EJABBERD_CONFIG_PATH": str(self.work / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(self.work / "ejabberd.log"),
        }

    def configuration(self) -> str:
        """Text of ejabberd.yml."""
        template = Template(_resource("ejabberd.yml.template"))
        values = {
            "domain": self.domain,
            "log_level": self.log_level,
            "certificate": str(self.handout / "server.pem"),
            "key": str(self.handout / "server.key.pem"),
            "authority": str(self.handout / "ca.pem"),
            "interface": self.interface,
            "port": self.port,
            "nodes_silence_s": self.nodes_silence_s,
            "unlimited": [f"{account}@{self.domain}" for account in self.unlimited],
        }
        return template.substitute({name: json.dumps(value) for name, value in values.items()})

    def _joined(self) -> list[str]:
        """Arguments for a node of a cluster: TLS both ways between nodes, one port, no epmd."""
        handed = self.handout / COOKIE_FILE
        try:
            cookie = handed.read_text(encoding="ascii").strip()
        except OSError as error:
            raise InputError(f"{handed}: nodes of a cluster are handed a cookie: {error.strerror}") from error
        # In a file, since arguments of a process are for everybody to see.
        write_text_atomically(self.work / ".erlang.cookie", cookie, 0o400)
        write_text_atomically(self.work / "nodes-tls.conf", self._nodes_tls(), 0o600)
        arguments = ["-name", self.name, "-proto_dist", "inet_tls"]
        arguments += ["-ssl_dist_optfile", str(self.work / "nodes-tls.conf")]
        arguments += ["-start_epmd", "false", "-erl_epmd_port", str(self.nodes_port)]
        # What ejabberd.yml says of it comes into force a minute later.
        arguments += ["-kernel", "net_ticktime", str(self.nodes_silence_s)]
        if self.nodes_interface:
            address = ",".join(self.nodes_interface.split("."))
            arguments += ["-kernel", "inet_dist_use_interface", f"{{{address}}}"]
        return arguments

    def _nodes_tls(self) -> str:
        """Both ends have to hold a key that the community's authority signed, which the servers alone do."""
        files = [
            ("certfile", self.handout / "server.pem"),
            ("keyfile", self.handout / "server.key.pem"),
            ("cacertfile", self.handout / "ca.pem"),
        ]
        own = ", ".join(f"{{{name}, {json.dumps(str(path))}}}" for name, path in files)
        own_check = "{verify_fun, {fun peerwatt_cluster:peer_is_of_the_authority/3, none}}"
        both = f"{own}, {{verify, verify_peer}}, {own_check}, {{versions, ['tlsv1.3']}}"
        server = f"{{server, [{both}, {{fail_if_no_peer_cert, true}}]}}"
        return f"[{server}, {{client, [{both}]}}].\n"


_QUIET_SCHEDULERS = ("+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none")
"""Waiting schedulers sleep: agents on the same machine have a use for the processor."""


def ensure_cookie(handout: Path) -> None:
    """Make the secret by which a cluster's nodes know each other (256 random bits), unless it is there."""
    path = handout / COOKIE_FILE
    if not path.exists():
        write_text_atomically(path, secrets.token_hex(32) + "\n", 0o600)


def installed_libraries() -> Path:
    """Folder with ejabberd's and its libraries' folders.

    Raises:
        InputError: ejabberd is not installed.
    """
    found = sorted(LIBRARIES.glob("*/ejabberd-*/ebin/ejabberd.app"))
    if not found or shutil.which("erl") is None:
        raise InputError(
            f"found no ejabberd below {LIBRARIES}, expected Debian's: "
            "apt-get install --no-install-recommends ejabberd"
        )
    return found[-1].parents[2]


def compile_modules(folder: Path, libraries: Path) -> Path:
    """Compile our modules for the ejabberd that is installed into ``folder``, unless they are there.

    Raises:
        InputError: they do not compile.
    """
    folder.mkdir(exist_ok=True)
    here = resources.files(__package__).joinpath("modules")
    names = sorted(each.name for each in here.iterdir() if each.name.endswith(".erl"))
    sources = {name: here.joinpath(name).read_text(encoding="utf-8") for name in names}
    of = f"{libraries} {_installed_version(libraries)} {json.dumps(sources)}"
    made_of, digest = folder / "made-of", hashlib.sha256(of.encode()).hexdigest()
    if made_of.is_file() and made_of.read_text(encoding="ascii") == digest:
        return folder
    for name, text in sources.items():
        write_text_atomically(folder / name, text, 0o600)
    made = subprocess.run(
        ["erlc", "-Werror", "-o", str(folder), *(str(folder / name) for name in sources)],
        env={**os.environ, "ERL_LIBS": str(libraries)},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise InputError(f"modules for ejabberd do not compile: {made.stdout}{made.stderr}")
    write_text_atomically(made_of, digest, 0o600)
    return folder


def _installed_version(libraries: Path) -> str:
    """Names of ejabberd's folders, which have its version."""
    return " ".join(sorted(path.name for path in libraries.glob("ejabberd-*")))


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _erl() -> str:
    found = shutil.which("erl")
    assert found is not None, "ejabberd is there, and with it Erlang"
    return found


def _whole_number(found: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = found.get(name, str(default))
    if not text.isdecimal() or not least <= int(text) <= most:
        raise InputError(f"PEERWATT_{name}: found {text!r}, expected a whole number, {least} to {most}")
    return int(text)
