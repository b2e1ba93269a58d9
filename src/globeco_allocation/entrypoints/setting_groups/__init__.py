"""The declarations of the settings, a module for each topic; `entrypoints/settings.py` puts them together."""
