"""Forecast by gradient-boosted trees (scikit-learn), an optional extra; imported only when chosen."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.forecast.daytable import DayTable, FloatArray, Origin, Targets, past_windows
from agents.forecast.similar_day import DayForecast, SimilarDays, similar_day
from runtime.errors import InputError

LEAST_TRAINING_SLOTS = 200
"""Metered slots below which trees have nothing to learn from."""


class BoostedDays:
    """Trees that correct the similar-day forecast with the last day, the last week, weekday and season.

    Args:
        table: the metered series.
        until: origin before which everything may be learned from.
        days: the similar days whose forecast is the first feature.
        seed: seed of the random numbers.

    Raises:
        InputError: scikit-learn is not installed, or too little was metered.
    """

    def __init__(self, table: DayTable, until: Origin, days: SimilarDays, seed: int) -> None:
        try:
            from sklearn.ensemble import HistGradientBoostingRegressor
        except ImportError as error:
            raise InputError(
                "forecast.method: found 'boosting', which needs scikit-learn; expected it installed "
                "(pip install 'peerwatt[boosting]'), or method 'similar-day'"
            ) from error
        self._table = table
        self._days = days
        features: list[FloatArray] = []
        metered: list[FloatArray] = []
        for origin, targets in past_windows(until, table.columns, until.day):
            if np.isnan(table.known(origin)).all():
                continue
            features.append(self._features(origin, targets)[0])
            # of the last window the slots beyond the origin are not known yet
            values = table.of_targets(targets).copy()
            later = (targets.day > until.day) | (
                (targets.day == until.day) & (targets.column >= until.column)
            )
            values[later] = np.nan
            metered.append(values)
        learned = np.concatenate([np.zeros(0), *metered])
        known = ~np.isnan(learned)
        if known.sum() < LEAST_TRAINING_SLOTS:
            raise InputError(
                f"forecast.history: found {int(known.sum())} metered slots to learn from, expected at least "
                f"{LEAST_TRAINING_SLOTS} for method 'boosting'"
            )
        self._trees: Any = HistGradientBoostingRegressor(
            max_iter=120, learning_rate=0.05, max_leaf_nodes=15, random_state=seed
        )
        rows = np.concatenate(features)[known]
        self._trees.fit(rows, learned[known] - rows[:, 0])

    def forecast(self, origin: Origin, targets: Targets) -> DayForecast:
        """Forecast slots from what was metered before an origin, with what was learned before."""
        features, similar = self._features(origin, targets)
        energy = np.maximum(features[:, 0] + self._trees.predict(features), 0.0)
        return DayForecast(energy, similar.other_class_slots, similar.interpolated_slots)

    def _features(self, origin: Origin, targets: Targets) -> tuple[FloatArray, DayForecast]:
        """One row a slot, shape (slots, 7), from what was metered before the origin only."""
        table = self._table
        known = table.known(origin)
        similar = similar_day(table, origin, targets, self._days)
        weekday = (table.first_day.weekday() + targets.day) % 7
        last_day = self._at(known, origin, targets, 1)
        last_week = self._at(known, origin, targets, 7)
        recent = known.ravel()[: origin.day * table.columns + origin.column][-table.columns :]
        level = np.nanmean(recent) if not np.isnan(recent).all() else np.nan
        rows = np.stack(
            [
                similar.energy_kwh,
                last_day,
                last_week,
                np.full(targets.day.size, level),
                targets.column.astype(np.float64),
                weekday.astype(np.float64),
                table.day_class[targets.day].astype(np.float64),
            ],
            axis=1,
        )
        return rows, similar

    @staticmethod
    def _at(known: FloatArray, origin: Origin, targets: Targets, step_days: int) -> FloatArray:
        """The latest value before the origin a whole number of steps before each target; NaN without."""
        ahead = targets.day - origin.day + (targets.column >= origin.column)
        day = targets.day - step_days * -(-ahead // step_days)
        inside = day >= 0
        return np.where(inside, known[np.clip(day, 0, len(known) - 1), targets.column], np.nan)
