// What htmx does not do: the keys, and the refresh of a page when its account changes.
// Without JavaScript every page and action still works.
"use strict";
