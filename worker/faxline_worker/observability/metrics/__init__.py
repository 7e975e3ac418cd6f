"""Every metric that Faxline exports: each is defined once, and has all its label sets at 0 from the start."""
