"""Quality assurance of contours: reads structure sets and images, compares, reports."""
