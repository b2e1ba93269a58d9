"""The declarations of the settings, a module for each topic; the package above puts them together."""
