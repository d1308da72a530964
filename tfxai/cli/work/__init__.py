"""What the commands do: a module for each, with a function ``run``, and what these share."""
