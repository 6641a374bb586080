"""From the SDTM views to files: what is read, how it is written, what is said of it."""
