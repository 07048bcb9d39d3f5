"""The work folders of several machines: sealed files, and where they are kept."""
