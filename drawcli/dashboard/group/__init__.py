"""The group of sites, and the machines of this one."""
