"""``python -m agents forecast``: a member's forecast of each session and its errors, as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from agents.building import series_of
from agents.forecast.errors import forecast_error
from agents.forecast.member import foresee
from runtime.configuration import MemberConfig, MetersConfig


def print_forecasts(config_path: Path, meters_path: Path) -> None:
    """Print what a member forecasts for each session, and how far that is from what its meters will read.

    Every session is forecast from the history that the scenario gives, as if none had been run before.

    Args:
        config_path: a ``MemberConfig``.
        meters_path: a ``MetersConfig`` with the member's meter, for what will be metered.

    Raises:
        InputError: a file or a history that will not do.
    """
    config = MemberConfig.load(config_path)
    meter = next(m for m in MetersConfig.load(meters_path).meters if m.member == config.name)
    sessions = []
    for number, session in enumerate(config.sessions):
        foreseen = foresee(config, number)
        operated = session.operated
        entry: dict[str, Any] = {"session": number, "horizon": operated.model_dump(mode="json")}
        metered = dict(zip(("load", "pv"), series_of(meter.sessions[number], config.pv), strict=True))
        parts = foreseen.forecast
        for name, made in (("load", parts and parts.load_series), ("pv", parts and parts.pv_series)):
            if made:
                made = made.model_copy(update={"energy_kwh": made.energy_kwh[: operated.slots]})
                error = forecast_error([np.array(made.energy_kwh)], [metered[name]])
                entry[name] = {
                    **made.model_dump(mode="json"),
                    "metered_kwh": metered[name].tolist(),
                    "this_session": error.model_dump(mode="json"),
                }
        sessions.append(entry)
    print(json.dumps({"member": config.name, "method": config.forecast, "sessions": sessions}))
