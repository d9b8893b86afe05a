"""The rows of the table: each module measures one question, and says what it did not measure."""
