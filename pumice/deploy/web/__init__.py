"""A page that classifies pictures in a browser, offline: one folder that opens by a double click.

export.py     `export_web`: a network, run or .onnx file as such a folder
runtime.py    ONNX Runtime Web from the npm registry, pinned and checked
index.html    the page: its text and its look
classify.js   from a picture to probabilities: decoding, Pillow's resizing, the session
page.js       what people do on the page: dropping and choosing pictures, the camera
"""

from pumice.deploy.web.export import export_web

__all__ = ["export_web"]
