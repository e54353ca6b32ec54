"""How the small models of the drawn world are made: recipes that run anywhere and end as the real libraries' own formats."""
