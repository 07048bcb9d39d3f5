"""The cycle: its context, its steps and what runs them."""
