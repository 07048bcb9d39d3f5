"""The status of other sites: files that they push, and pages that are asked."""
