"""The machine: files, platforms, threads, limits, YAML."""
