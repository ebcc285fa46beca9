"""``peerwatt plan``: how a member would run its battery alone at the grid's tariffs, or its choices."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast, get_args

import typer
from pydantic import ValidationError

from runtime.errors import InputError
from runtime.preferences import BatteryAgeing, Objective, Preference
from runtime.wording import counted

if TYPE_CHECKING:
    from runtime.planned import PlanAnswer, PlannedDay

SHOWN_PLANS = 12
"""Plans of a front that the table shows; the file has them all."""

CERTAIN_LOSS = 1e-6
"""Certified loss that is no more than rounding."""

FRONT_OBJECTIVES = "cost,import,peak"

Model = TypeVar("Model", BatteryAgeing, Preference)


def plan(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help="A scenario file, or the name of a built-in one.")
    ],
    member: Annotated[str, typer.Option("--member", help="Name of the member.")],
    session: Annotated[int, typer.Option(min=1, help="Which session.")] = 1,
    front: Annotated[
        bool, typer.Option("--front", help="All plans of which none is better than another in everything.")
    ] = False,
    objectives: Annotated[
        str | None,
        typer.Option(
            help="What plans are judged by, of cost, import, peak, wear. Cost alone by default; "
            f"{FRONT_OBJECTIVES} with --front. Cost and wear are added up."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Choose from the front by weights of the objectives' ranges, such as cost=2,peak=1."
        ),
    ] = None,
    knee: Annotated[
        bool,
        typer.Option("--knee", help="Choose the plan where gaining in one objective costs most in others."),
    ] = False,
    replacement: Annotated[
        float | None, typer.Option(help="What a new battery costs per kWh of capacity [EUR/kWh].")
    ] = None,
    cycle_life: Annotated[float | None, typer.Option(help="Full cycles until it is replaced.")] = None,
    depth_exponent: Annotated[
        float | None, typer.Option(help="How wear grows with a cycle's depth; 1: with throughput.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with the data that the scenario reads.")
    ] = None,
    setting: Annotated[
        str | None, typer.Option("--setting", help="As for `run`; overrides the scenario.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the value of each slot.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for tables and pictures; plans/SCENARIO/MEMBER by default, none with --json."
        ),
    ] = None,
) -> None:
    """Plan a member's battery alone at the grid's tariffs, or show the plans it can choose from."""
    from runtime.fleet.query import ask_agents
    from runtime.planned import PlanAnswer, PlanRequest
    from runtime.scenario.resolve import resolve

    wanted = _objectives(objectives, front or knee or weights is not None)
    preference = _preference(weights, knee)
    ageing = _checked(
        BatteryAgeing,
        {
            "replacement_eur_per_kwh": replacement,
            "cycle_life": cycle_life,
            "depth_exponent": depth_exponent,
        },
    )
    resolved = resolve(scenario, data=data, setting=setting)
    if member not in resolved.members:
        raise InputError(f"--member: found {member!r}, expected one of {', '.join(resolved.members)}")
    if session > len(resolved.horizons):
        raise InputError(f"--session: found {session}, expected 1 to {len(resolved.horizons)}")
    request = PlanRequest(
        member=resolved.member_config(member),
        session=session - 1,
        import_price_eur_per_kwh=[float(p) for p in resolved.import_price_eur_per_kwh[session - 1]],
        export_price_eur_per_kwh=[float(p) for p in resolved.export_price_eur_per_kwh[session - 1]],
        objectives=wanted,
        front=front,
        preference=preference,
        ageing=ageing,
    )
    with tempfile.TemporaryDirectory(prefix="peerwatt-plan-") as folder:
        path = Path(folder) / "request.json"
        request.save(path)
        answer = PlanAnswer.model_validate(ask_agents("plan", "--request", str(path)))
    if as_json:
        typer.echo(answer.model_dump_json(indent=1))
    else:
        show(answer)
    folder_out = out or (None if as_json else Path("plans") / resolved.name / member)
    if folder_out is not None:
        _write(folder_out, answer, quiet=as_json)


def _objectives(text: str | None, several: bool) -> list[Objective]:
    names = (text or (FRONT_OBJECTIVES if several else "cost")).split(",")
    names = [name.strip() for name in names]
    known = get_args(Objective)
    if len(set(names)) < len(names) or any(name not in known for name in names):
        raise InputError(f"--objectives: found {text!r}, expected different ones of {', '.join(known)}")
    return cast(list[Objective], names)


def _preference(weights: str | None, knee: bool) -> Preference | None:
    if weights is None:
        return Preference(knee=True) if knee else None
    if knee:
        raise InputError("--weights: found --knee too, expected one of the two")
    found: dict[str, float] = {}
    for part in weights.split(","):
        name, _, number = part.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            raise InputError(f"--weights: found {part!r}, expected such as cost=2") from None
    return _checked(Preference, {"weights": found})


def _checked(model: type[Model], given: dict[str, Any]) -> Model:
    """A checked model of what was given; what was not takes its default."""
    try:
        return model.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        what = first["msg"].removeprefix("Value error, ")
        if model is Preference:
            raise InputError(f"--weights: {what}") from None
        option = str(first["loc"][0]).removesuffix("_eur_per_kwh").replace("_", "-")
        expected = what.removeprefix("Input should be ")
        raise InputError(f"--{option}: found {first['input']}, expected a number {expected}") from None


def show(answer: PlanAnswer) -> None:
    """Print what was planned, for a person."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(
        f"{answer.member}, session {answer.session + 1} ({answer.horizon.local(0):%Y-%m-%d}, "
        f"{answer.horizon.slots} slots): {_how(answer)}",
        markup=False,
    )
    table = Table("plan")
    for heading in ("cost EUR", "import kWh", "self-suff.", "peak kW", "wear EUR"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row("battery left alone", *_cells(answer, answer.idle), style="dim")
    if len(answer.plans) == 1:
        table.add_row("planned", *_cells(answer, answer.plans[0]))
    else:
        for index in _spread(answer):
            name = f"{index + 1}{'  chosen' if index == answer.chosen else ''}"
            style = "bold" if index == answer.chosen else None
            table.add_row(name, *_cells(answer, answer.plans[index]), style=style)
    console.print(table)
    if answer.method == "front" and len(answer.plans) == 1 and answer.battery_capacity_kwh is not None:
        console.print(
            f"The front is a single plan: it is the best in {_listed(answer.objectives)} at once, "
            "so there is nothing to trade off."
        )
    for words in _flexible_loads(answer):
        console.print(words)
    if len(answer.plans) > SHOWN_PLANS:
        console.print(f"{len(answer.plans)} plans in all; the table shows some, front.csv has them all.")


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _how(answer: PlanAnswer) -> str:
    if answer.battery_capacity_kwh is None and not answer.idle.flexible_kwh:
        return "no battery, so there is nothing to plan"
    loss = answer.certified_loss
    if answer.method == "optimised" and loss is not None and loss <= CERTAIN_LOSS:
        return "least cost, proven"
    if answer.method == "optimised" and loss is not None:
        return f"least cost, at most {loss:.2%} of what planning saves from the optimum"
    if answer.method == "front":
        return f"front of {', '.join(answer.objectives)}"
    return answer.method


def _flexible_loads(answer: PlanAnswer) -> list[str]:
    """When each vehicle and appliance draws, a line each; the same in all plans of a front."""
    plan = answer.shown or answer.plans[0]
    lines = []
    for name, drawn in plan.flexible_kwh.items():
        busy = [slot for slot, energy in enumerate(drawn) if energy > 1e-6]
        spans: list[list[int]] = []
        for slot in busy:
            if spans and spans[-1][1] == slot:
                spans[-1][1] = slot + 1
            else:
                spans.append([slot, slot + 1])
        times = ", ".join(
            f"{answer.horizon.local(first):%H:%M} to {answer.horizon.local(last):%H:%M}"
            for first, last in spans[:6]
        )
        more = ", ..." if len(spans) > 6 else ""
        lines.append(f"{name}: {sum(drawn):.3f} kWh, {times}{more}" if busy else f"{name}: nothing")
    return lines


def _cells(answer: PlanAnswer, plan: PlannedDay) -> list[str]:
    share = answer.self_sufficiency(plan)
    return [
        f"{plan.cost_eur:.4f}",
        f"{plan.grid_import_kwh:.3f}",
        "-" if share is None else f"{share:.2%}",
        f"{plan.peak_import_kw:.3f}",
        f"{plan.wear_eur:.4f}",
    ]


def _spread(answer: PlanAnswer) -> list[int]:
    """Plans to show: the chosen, the best in each objective, and others evenly along the first."""
    last = len(answer.plans) - 1
    picked = {min(range(last + 1), key=lambda i: answer.plans[i].value(name)) for name in answer.objectives}
    if answer.chosen is not None:
        picked.add(answer.chosen)
    for step in range(SHOWN_PLANS - len(picked)):
        picked.add(round(last * step / max(SHOWN_PLANS - 1, 1)))
    return sorted(picked)


def _write(folder: Path, answer: PlanAnswer, quiet: bool) -> None:
    from runtime.results.plan_figures import write_plan_figures
    from runtime.results.plan_tables import write_plan_tables

    files = write_plan_tables(folder, answer) + write_plan_figures(folder, answer)
    if not quiet:
        typer.echo(f"\n{counted(len(files), 'file')} in {folder}")
