"""Pure functions from DataFrame to DataFrame: no lake, no clock, no settings."""
