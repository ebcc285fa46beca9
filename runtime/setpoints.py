"""How a member's battery is steered, as data: where set-points go, and within which limits.

Scenario, configuration and commands share these; how a set-point is written is the agents'.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from runtime.devices import Battery


class SetpointTable(BaseModel):
    """Where a battery's set-points are written, and how.

    Attributes:
        target: the device, as a URL (``mqtt://host/topic``, ``modbus://host/unit``).
        max_charge_kw: greatest power drawn that is ever written [kW]; the battery's own limit if None.
        max_discharge_kw: greatest power delivered that is ever written [kW]; likewise.
        ramp_kw_per_min: greatest change of what is written [kW/min]; None steps at once.
        min_interval_s: the device is written at most this often [s].
        margin_s: so long after a slot's end the next set-point is waited for before the device has control
            again [s].
        dry_run: whether nothing is written, only said.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    target: str = Field(min_length=1)
    max_charge_kw: float | None = Field(default=None, ge=0)
    max_discharge_kw: float | None = Field(default=None, ge=0)
    ramp_kw_per_min: float | None = Field(default=None, gt=0)
    min_interval_s: float = Field(default=5.0, ge=0, le=3600)
    margin_s: float = Field(default=60.0, ge=0, le=3600)
    dry_run: bool = True

    def check_for(self, battery: Battery | None) -> None:
        """Check that there is a battery to be steered, and a limit either way.

        Raises:
            ValueError: what is missing.
        """
        if battery is None:
            raise ValueError("setpoint: found a table, expected none without a battery")
        for name, own in (("charge", battery.charge_limit_kw), ("discharge", battery.discharge_limit_kw)):
            if getattr(self, f"max_{name}_kw") is None and own is None:
                raise ValueError(
                    f"setpoint.max_{name}_kw: found none, expected one here or the battery's {name}_limit_kw"
                )

    def within(self, battery: Battery) -> Self:
        """The table with every limit said: the lesser of the table's and the battery's.

        Raises:
            ValueError: neither has a limit.
        """
        self.check_for(battery)
        return self.model_copy(
            update={
                "max_charge_kw": _lesser(self.max_charge_kw, battery.charge_limit_kw),
                "max_discharge_kw": _lesser(self.max_discharge_kw, battery.discharge_limit_kw),
            }
        )


def _lesser(*limits: float | None) -> float:
    return min(limit for limit in limits if limit is not None)
