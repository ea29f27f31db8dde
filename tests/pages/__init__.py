"""The pages of the documentation: those that are made from the code, and the site that is built of all."""
