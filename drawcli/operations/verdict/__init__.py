"""The verdict on a site: well, attention or broken."""
