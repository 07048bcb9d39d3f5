"""Structure sets drawn on the images that they were made for: geometry, grey values, pictures.

Positions are in mm of the patient (LPS). Images are placed by their headers and contours by their
coordinates, independently, so that a shift or a mirror image between them is visible.
"""
