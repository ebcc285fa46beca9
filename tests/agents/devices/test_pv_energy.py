import numpy as np
import pytest

from agents.devices.pv import pv_energy_kwh
from runtime.devices import PvArray
from runtime.errors import InputError

ARRAY = PvArray(area_m2=180, efficiency=0.16)


def test_equation_4_times_the_slot_length():
    # 180 m² × 0.16 × 500 W/m² = 14.4 kW, for ten minutes 2.4 kWh.
    np.testing.assert_allclose(pv_energy_kwh([0.0, 500.0], ARRAY, 1 / 6), [0.0, 2.4], rtol=1e-14)


@pytest.mark.parametrize(
    ("ghi", "hours", "message"),
    [
        ([1.0, -2.0], 1.0, "slot 1.*found -2.0"),
        ([1.0, np.nan], 1.0, "slot 1.*nan"),
        ([[1.0]], 1.0, r"shape \(1, 1\)"),
        ([1.0], 0.0, "slot_hours.*found 0"),
    ],
)
def test_bad_irradiance_is_named(ghi, hours, message):
    with pytest.raises(InputError, match=message):
        pv_energy_kwh(ghi, ARRAY, hours)
