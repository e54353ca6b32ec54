"""`recapdata.load`: a version, or a local folder, as a dataset of images with their captions, whole or streamed."""
