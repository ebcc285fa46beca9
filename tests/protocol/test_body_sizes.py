"""The longest session still fits into the messages that carry it."""

from runtime.horizon import MAX_SLOTS
from runtime.protocol.bodies import Agreement, PriceSignal, PriceStep
from runtime.protocol.envelope import MAX_BODY_BYTES

PRICES = {
    "import_price_eur_per_kwh": [-0.123456789] * MAX_SLOTS,
    "export_price_eur_per_kwh": [-0.123456789] * MAX_SLOTS,
}
NET = {"grid_import_kwh": [1234.123456789] * MAX_SLOTS, "grid_export_kwh": [0.0] * MAX_SLOTS}


def test_a_block_tariff_of_the_longest_session_fits():
    step = PriceStep(
        threshold_kwh=[-1234.123456789] * MAX_SLOTS,
        above_eur_per_kwh=[-0.123456789] * MAX_SLOTS,
        below_eur_per_kwh=[-0.123456789] * MAX_SLOTS,
    )
    signal = PriceSignal(session=0, round=0, steps=[step] * 3, **PRICES)
    assert MAX_BODY_BYTES / 2 < len(signal.to_json()) < MAX_BODY_BYTES


def test_an_agreement_of_the_longest_session_fits():
    agreement = Agreement(
        session=0,
        round=1,
        position_round=1,
        local_price_eur_per_kwh=[-0.123456789] * MAX_SLOTS,
        stored_kwh=[1234.12345678901234] * MAX_SLOTS,
        **PRICES,
        **NET,
    )
    assert len(agreement.to_json()) < MAX_BODY_BYTES
