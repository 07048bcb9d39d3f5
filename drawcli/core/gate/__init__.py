"""The checks of what leaves and of what is delivered. They import nothing else of drawcli."""
