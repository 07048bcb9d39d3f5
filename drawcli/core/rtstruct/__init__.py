"""Structure sets: contours, checks of their geometry, and the file that is delivered."""
