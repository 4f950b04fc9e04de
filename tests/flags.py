"""
What worker processes do as long as there is a file of a name. Standard library only.
"""

import os


def flagged(path, how):
    """
    Raises or ends the process if there is a file.
    """
    if os.path.exists(path):
        if how == "raise":
            raise ValueError("flagged")
        os._exit(5)
