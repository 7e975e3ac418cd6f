"""What the tests of the transitions share: a store on a clock of their own, and jobs put into every state."""
