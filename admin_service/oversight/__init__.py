"""What is known of one operator: their row, their live sessions and what they did last."""
