"""A folder that classifies pictures with a runtime, numpy and Pillow alone: neither Pumice nor torch.

write.py      `write_package`: a network, run or model file as such a folder, whole or not at all
runners.py    the scripts, one text for all runtimes but for the lines that open and run a file
readme.py     what the folder says to people
"""

from pumice.deploy.package.write import Package, write_package

__all__ = ["Package", "write_package"]
