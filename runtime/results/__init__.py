"""What a person keeps of a run: checked ledger, tables, database, figures, summary.

Everything here is made from the records alone (``runtime.records``) and can be made again at any time.
Importing this package is cheap; each step imports what it needs when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_results(run: Path, *, figures: bool = True) -> dict[str, Any]:
    """Check the ledger of a finished run, then write its tables, database, bills and figures.

    Args:
        run: the run's directory, with ``records/`` and ``indicators.json`` in it.
        figures: draw the figures too.

    Returns:
        The summary (``runtime.results.summary.summary``) with what is proven of the ``plans``
        and the names of the ``files`` written.

    Raises:
        LedgerError: the ledger does not balance; nothing is written.
        InputError: records or indicators are missing or cannot be read.
    """
    from runtime.results.bill_pages import write_bill_pages
    from runtime.results.database import write_database
    from runtime.results.ledger import check_ledger
    from runtime.results.plan_certificates import certificates
    from runtime.results.reading import read_indicators, read_records
    from runtime.results.summary import summary
    from runtime.results.tables import tables, write_tables
    from runtime.rundir import RunDirectory

    directory = RunDirectory(run)
    coordinator, members = read_records(run)
    indicators: Mapping[str, Any] = read_indicators(run)
    check_ledger(coordinator)
    all_tables = tables(coordinator, members)
    files = [directory.indicators_json, *write_tables(run, all_tables)]
    files.append(write_database(directory.results_sqlite, all_tables, indicators))
    files.extend(write_bill_pages(run, coordinator, members, indicators))
    if figures:
        from runtime.results.figures import write_figures

        files.extend(write_figures(directory.figures_dir, coordinator, members))
    return {
        **summary(coordinator, indicators),
        "plans": certificates(members),
        "files": [str(file.relative_to(run)) for file in files],
    }
