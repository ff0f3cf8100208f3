"""Sections of the report, found by listing; `edgecnn/reporting/contract.py` says what one is."""
