"""What a set of slices amounts to: order, spacing, completeness."""
