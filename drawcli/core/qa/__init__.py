"""Quality assurance of contours: compares two structure sets, without site, server or ledger."""
