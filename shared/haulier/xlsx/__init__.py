"""Excel workbooks: .xlsx read as a stream, .xls as a whole; exact about cells, and bounded whatever they hold."""
