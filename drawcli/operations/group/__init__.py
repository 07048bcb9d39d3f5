"""The group view: many sites on one page."""
