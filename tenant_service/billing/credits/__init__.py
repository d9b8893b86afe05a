"""Credits: grants, the double-entry ledger, and who may move what (data-model 2.4)."""
