"""The lab console: windows that show what the modules beside it compute."""
