"""Archives that are pulled from: their state, and whether they can be asked."""
