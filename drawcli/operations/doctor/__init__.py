"""Is the site well, and if not, which line mends it: the checks of `doctor`."""
