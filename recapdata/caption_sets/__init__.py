"""Caption sets as a whole: imported from a column, edited by people, mixed for training, and resumed."""
