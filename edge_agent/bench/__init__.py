"""Measuring functions. They measure and return figures; the command line prints them."""
