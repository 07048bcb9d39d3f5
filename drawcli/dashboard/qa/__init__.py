"""Quality assurance of contours on the web page: overview, charts, pairs."""
