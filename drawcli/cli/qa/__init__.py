"""Commands for quality assurance of contours."""
