"""What a data manager looks at every day: figures from the ledger and from SDTM, and one page that shows them."""
