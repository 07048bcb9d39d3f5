"""The checks of packages and structure sets. They import nothing else of drawcli."""
