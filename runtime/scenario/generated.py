"""Series that models make: made once, kept in a cache, read back without loading any model.

An entry is a folder named after the digest of all that decides its numbers: parameters, horizons, seed,
versions of the libraries. It holds ``series.csv`` and ``provenance.json`` and appears whole or not at
all, so that processes which make it at the same time do not disturb each other.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import os
import shutil
import tempfile
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from runtime.conventions import FloatArray
from runtime.errors import InputError
from runtime.horizon import Horizon
from runtime.scenario.series import BdewSeries, IrradianceSeries

_FORMAT = 1
"""Counted up when a model here changes, so that older entries are not used any more."""

_DECIMALS = {"bdew": 6, "irradiance": 3}
"""Kept of each value (1 mW; 1 mW/m²): far below what matters, far above what platforms differ by."""

_LIBRARIES = {
    "bdew": ("demandlib", "holidays", "vacances-scolaires-france", "numpy"),
    "irradiance": ("pvlib", "numpy"),
}

_SOURCES = {
    "bdew": {
        "model": "BDEW standard load profile (demandlib), public and school holidays as Sundays, "
        "appliance events or slow noise around it",
        "licences": {
            "demandlib": "MIT (profiles: BDEW)",
            "holidays": "MIT",
            "vacances-scolaires-france": "MIT (data: French ministry of education, Licence Ouverte)",
        },
    },
    "irradiance": {
        "model": "clear sky by Ineichen and Perez (pvlib), times a seeded clear-sky index",
        "licences": {"pvlib": "BSD-3-Clause"},
    },
}

_logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where generated series are kept: ``PEERWATT_CACHE``, else the user's cache folder."""
    own = os.environ.get("PEERWATT_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "peerwatt" / "series"


def generate_series(
    series: BdewSeries | IrradianceSeries, horizons: list[Horizon], seed: int, label: str
) -> tuple[list[FloatArray], dict[str, Any]]:
    """Means per slot, from the cache or made now.

    Args:
        series: the model and its parameters.
        horizons: one per session.
        seed: the scenario's.
        label: what else seeds the numbers; equal labels give equal numbers.

    Returns:
        One array per session, shape (slots,), mean power [kW] or irradiance [W/m²]; and the provenance.

    Raises:
        ConventionError: parameters that the model has nothing for.
        InputError: the cache folder cannot be written.
    """
    inputs = {
        "format": _FORMAT,
        "parameters": series.model_dump(mode="json"),
        "horizons": [horizon.model_dump(mode="json") for horizon in horizons],
        "seed": seed,
        "label": label,
        "versions": {name: _version(name) for name in _LIBRARIES[series.model]},
    }
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    entry = cache_folder() / f"{series.model}-{digest[:24]}"
    found = _read(entry, horizons)
    if found is not None:
        return found
    _logger.info("making a series (first use): %s %s", series.model, label)
    sessions = _make(series, horizons, seed, label)
    text = _as_csv(sessions, horizons, "ghi_w_per_m2" if series.model == "irradiance" else "load_kw")
    provenance = {
        **_SOURCES[series.model],
        **inputs,
        "series_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    _write(entry, text, provenance, horizons)
    return sessions, provenance


def _make(
    series: BdewSeries | IrradianceSeries, horizons: list[Horizon], seed: int, label: str
) -> list[FloatArray]:
    if isinstance(series, IrradianceSeries):
        from runtime.scenario.models.irradiance import irradiance_w_per_m2

        sessions = [irradiance_w_per_m2(series, horizon, seed, label) for horizon in horizons]
    else:
        from runtime.scenario.models.consumption import consumption_kw

        sessions = [consumption_kw(series, horizon, seed, label) for horizon in horizons]
    return [np.round(session, _DECIMALS[series.model]) + 0.0 for session in sessions]


@lru_cache
def _version(distribution: str) -> str:
    return version(distribution)


def _as_csv(sessions: list[FloatArray], horizons: list[Horizon], column: str) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["slot_start_utc", column])
    for values, horizon in zip(sessions, horizons, strict=True):
        for start, value in zip(horizon.slot_starts(), values, strict=True):
            writer.writerow([start.strftime("%Y-%m-%dT%H:%M:%SZ"), repr(float(value))])
    return stream.getvalue()


def _read(entry: Path, horizons: list[Horizon]) -> tuple[list[FloatArray], dict[str, Any]] | None:
    """The entry, or None where there is none, or one that was changed since it was written."""
    try:
        text = (entry / "series.csv").read_text(encoding="utf-8")
        provenance: dict[str, Any] = json.loads((entry / "provenance.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if provenance.get("series_sha256") != hashlib.sha256(text.encode()).hexdigest():
        return None
    values = np.array([float(line.rpartition(",")[2]) for line in text.splitlines()[1:]], dtype=np.float64)
    return list(np.split(values, np.cumsum([horizon.slots for horizon in horizons])[:-1])), provenance


def _write(entry: Path, text: str, provenance: dict[str, Any], horizons: list[Horizon]) -> None:
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=entry.parent, prefix=".new-"))
        try:
            (temporary / "series.csv").write_text(text, encoding="utf-8")
            document = json.dumps(provenance, indent=1) + "\n"
            (temporary / "provenance.json").write_text(document, encoding="utf-8")
            temporary.chmod(0o755)
            _put_in_place(temporary, entry, horizons)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"{entry.parent}: cannot keep generated series here: {error.strerror}; "
            "name a writable folder in the environment variable PEERWATT_CACHE"
        ) from error


def _put_in_place(temporary: Path, entry: Path, horizons: list[Horizon]) -> None:
    failure: OSError | None = None
    for _ in range(3):
        try:
            temporary.rename(entry)
        except OSError as error:
            failure = error
        else:
            return
        # Another process may have been first with the same numbers; a damaged entry is replaced.
        if _read(entry, horizons) is not None:
            return
        shutil.rmtree(entry, ignore_errors=True)
    if failure is not None:
        raise failure
