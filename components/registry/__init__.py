"""Who is champion: registered model versions, their aliases, and what happens when one cannot be trusted."""
