from agents.bench.flexible import measure_flexible, summary
from agents.bench.flexible_suite import flexible_instances


def test_figures_hold_plans_against_the_proven_optimum():
    figures = measure_flexible(flexible_instances(3, 1, 1, 96), 20.0)
    assert len(figures) == 3
    for one in figures:
        assert -1e-6 <= one.loss <= 1e-3
        assert -1e-6 <= one.warm_loss <= 1e-3
        assert one.cold_s > 0
    (row,) = summary(figures)
    assert row["instances"] == 3
    assert row["loss"]["count"] == 3
    assert row["loss"]["worst"] == max(one.loss for one in figures)
