"""`make docs`: writes the generated parts of the pages in docs/ from the code.

A page marks each part: `<!-- NAME -->`, the generated text, `<!-- end -->`. `PAGES` says which page has which
parts and what makes them. A test fails while a page is stale.
"""
