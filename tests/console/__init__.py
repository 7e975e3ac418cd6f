"""The console in a real browser. A package, so that the browser and Faxline end with the last of these tests."""
