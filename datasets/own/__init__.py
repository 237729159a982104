"""Images of one's own: from a folder or a CSV file to lists, with a sentence on everything that is odd about them."""
