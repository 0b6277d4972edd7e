"""What tunelab's figures are measured with: `make bench` prints them, docs/results/ quotes them."""
