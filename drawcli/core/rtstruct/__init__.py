"""Structure sets: contours, geometric checks, and the delivered file."""
