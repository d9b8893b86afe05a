"""What every Sallyport service is built with; it knows no business word and no service."""
