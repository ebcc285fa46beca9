"""The longest session still fits into the messages that carry it."""

from coordinator.mechanisms.bilateral import MOST_TRADES
from runtime.horizon import MAX_SLOTS
from runtime.protocol.bargain_bodies import AgreedTrade, BargainCall, BargainReport, TradeProposal
from runtime.protocol.bodies import Agreement, DeviceSchedule, PriceSignal, PriceStep
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
        schedule=DeviceSchedule(
            stored_kwh=[1234.123456789] * MAX_SLOTS,
            vehicle_kwh=([5.123456789] * MAX_SLOTS, [5.123456789] * MAX_SLOTS),
            appliance_start_slots=(999,) * 20,
        ),
        **PRICES,
        **NET,
    )
    assert len(agreement.to_json()) < MAX_BODY_BYTES


def test_bargaining_in_the_longest_session_fits():
    proposal = TradeProposal(
        session=0,
        round=999,
        purchase_kwh=[1234.123456789] * MAX_SLOTS,
        sale_kwh=[0.0] * MAX_SLOTS,
        price_eur_per_kwh=[-0.123456789] * MAX_SLOTS,
        residual_kwh=0.123456789,
        green=False,
    )
    call = BargainCall(
        session=0,
        round=1,
        members=[f"member-{number}" for number in range(100)],
        max_rounds=40,
        tolerance_kwh=0.1,
        penalty_eur_per_kwh2=[0.123456789] * MAX_SLOTS,
        suspended_slots=list(range(MAX_SLOTS)),
        **PRICES,
    )
    assert max(len(proposal.to_json()), len(call.to_json())) < MAX_BODY_BYTES


def test_a_report_of_as_many_trades_as_may_be_fits():
    partners = MOST_TRADES // MAX_SLOTS
    for count, slots in ((partners, MAX_SLOTS), (MOST_TRADES // 24, 24)):
        trades = [
            AgreedTrade(
                partner="a-member-with-quite-a-long-name-for-one",
                slots=list(range(slots)),
                purchase_kwh=[1234.123456789] * slots,
                sale_kwh=[0.0] * slots,
                price_eur_per_kwh=[-0.123456789] * slots,
            )
        ] * count
        net = {key: values[:slots] for key, values in NET.items()}
        report = BargainReport(session=0, round=1, rounds=40, trades=trades, **net)
        assert MAX_BODY_BYTES / 2 < len(report.to_json()) < MAX_BODY_BYTES
