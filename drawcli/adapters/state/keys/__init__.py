"""Where the keys of a site come from."""
