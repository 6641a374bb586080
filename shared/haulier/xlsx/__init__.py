"""Excel workbooks (.xlsx), read as a stream: exact about cells, and bounded whatever they hold."""
