"""
The metadata is in C{pyproject.toml}; I am for tools that look for me.
"""

from setuptools import setup

setup()
