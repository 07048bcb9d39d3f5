"""Structure sets drawn on the images that they were made for: geometry, grey values, pictures.

Everything is in mm of the patient (LPS). Images lie where their own headers say, contours where
their numbers say, and neither knows of the other: a shift or a mirror image between them is seen.

`plane.py` names the planes, `frame.py` turns the patient so that they are straight; `stack.py`
cuts through images, `outlines.py` through structures; `windows.py` chooses what is grey;
`painting.py` draws one picture of one plane; `scene.py` decides where to look; `sheet.py` and
`page.py` put pictures together, `terminal.py` shows one in a terminal.
"""
