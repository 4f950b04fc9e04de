"""
The version: the one place for it. What builds the distribution reads it here.
"""

__version__ = "1.0.0.dev0"
