"""The management panel: server-rendered pages that work without JavaScript (R-010, C-02)."""
