"""The viewer: structures on images, drawn by the browser from pixel values and outlines."""
