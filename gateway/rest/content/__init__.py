"""Content by its id: download, and upload of images."""
