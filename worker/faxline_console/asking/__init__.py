"""What is asked for: the search line, its words and numbers, and where its next page begins."""
