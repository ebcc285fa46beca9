"""The community's side: market session, mechanisms, settlement, ledger and indicators."""
