"""The back office: operators and their enrollment, the roster, the merged audit log, the panel."""
